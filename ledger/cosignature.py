"""Cosignatures: what a witness states about another log's checkpoint (c2sp.org/tlog-cosignature, Ed25519).

    example.org/log
    10
    HA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

    — example.org/witness ys8uUAAAAAAAAATSftMzceM8zssdZ9jin9SjwIxzx9iADMf63VqirX2hafol9RsqNqbofIz0LVRqHXI2kpEBSki5RTXFtxz1vo9+Cg==

is the witness's word that at 1234 (0x4d2) seconds since 1970 this was the largest consistent tree that it had seen. A
member of our network says more with it: that it has verified and durably stored every entry below the size (protocol
section 5). The bytes that are signed are those of :mod:`ledger.note` for keys of type 0x04; here are the steps that a
witness and its clients take.
"""  # noqa: E501 - a real line, whole

from collections.abc import Iterable
from dataclasses import replace

from ledger.checkpoint import Checkpoint
from ledger.errors import KeyFormatError, NoteError, TooManyError
from ledger.note import SIGNATURES_MAX, Note, Signature, SigningKey, VerifierKey, parse_signature_line


def cosign(signer: SigningKey, checkpoint: Checkpoint, *, time: int) -> Signature:
    """Return the cosignature of ``checkpoint`` at ``time``, in seconds since 1970.

    The caller has verified the log's signature and the consistency with all that it cosigned before.

    Raises:
        KeyFormatError: the key does not make cosignatures.
    """
    return signer.cosign(checkpoint.text, time)


def verify_cosignature(verifier: VerifierKey, checkpoint_text: str | bytes, signature: Signature) -> int:
    """Check a cosignature of a checkpoint's text; return its time in seconds since 1970.

    Raises:
        UnsignedError: the signature is another key's.
        InvalidSignatureError: the key did not cosign this text.
        KeyFormatError: the key does not make cosignatures.
    """
    time = verifier.verify(checkpoint_text, signature)
    if time is None:
        raise KeyFormatError("only a cosigner's key makes cosignatures", field=verifier.name)
    return time


def parse_cosignatures(body: bytes) -> tuple[Signature, ...]:
    """Return the signature lines that a witness answered with (c2sp.org/tlog-witness), not yet verified.

    Raises:
        NoteError: anything but one or more signature lines.
        TooManyError: more than 100 lines.
    """
    try:
        lines = body.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteError(f"byte {error.start} is not UTF-8", field="body") from None
    if lines.pop() or not lines:
        raise NoteError("signature lines are expected, each with its newline", field="body")
    if len(lines) > SIGNATURES_MAX:
        raise TooManyError(f"{len(lines)} signatures where at most {SIGNATURES_MAX} are allowed", limit=SIGNATURES_MAX)
    return tuple(parse_signature_line(line, field=f"signatures[{number}]") for number, line in enumerate(lines))


def add_signatures(note: Note, signatures: Iterable[Signature]) -> Note:
    """Return the note with further (verified) signatures behind its own; a key that has signed already is left out.

    Raises:
        TooManyError: more than 100 signatures.
    """
    signed = {(signature.name, signature.key_id) for signature in note.signatures}
    fresh: dict[tuple[str, bytes], Signature] = {}
    for signature in signatures:
        if (key := (signature.name, signature.key_id)) not in signed:
            fresh.setdefault(key, signature)
    merged = (*note.signatures, *fresh.values())
    if len(merged) > SIGNATURES_MAX:
        raise TooManyError(f"{len(merged)} signatures where at most {SIGNATURES_MAX} are allowed", limit=SIGNATURES_MAX)
    return replace(note, signatures=merged)
