"""The versions of the network document, one behind the other: who may say what holds next (protocol section 8).

Version 1 is pinned by the SHA-256 of its own text, given out of band: the network's fingerprint. Version N+1 counts
when signed by the threshold of version N's governors and by that of its own, as TUF does with its root. A file may hold
the versions one behind the other, a blank line between two of them.
"""

import re
from dataclasses import replace

from ledger.errors import FingerprintError, NetworkError, QuorumError, TooManyError, UnsignedError
from ledger.network import FORMAT, Member, Network, parse_network
from ledger.note import open_note

VERSIONS_MAX = 1000
GOVERNORS_HINT = "have more governors sign it with suyuan network sign, each in the file that the one before has made"

_START = re.compile(rf"^(?={re.escape(FORMAT)}$)", re.MULTILINE)


def split_versions(data: bytes) -> list[bytes]:
    """Return the documents of a file that holds several versions, oldest first.

    Raises:
        NetworkError: no document at all, or something else around them.
        TooManyError: more than 1,000 versions.
    """
    try:
        parts = _START.split(data.decode())
    except UnicodeDecodeError:
        raise NetworkError("the file is not UTF-8", field="network") from None
    if len(parts) < 2 or parts[0]:  # noqa: PLR2004 - what stands before the first document, and the first document
        raise NetworkError(f"the file does not begin with {FORMAT}", field="line 1")
    if len(parts) - 1 > VERSIONS_MAX:
        raise TooManyError(f"{len(parts) - 1} versions in one file", field="network", limit=VERSIONS_MAX)
    documents = parts[1:]
    for number, document in enumerate(documents[:-1], 1):
        if not document.endswith("\n\n"):
            raise NetworkError("a blank line must stand between two versions", field=f"version {number}")
        documents[number - 1] = document[:-1]
    return [document.encode() for document in documents]


def verify_chain(data: bytes, fingerprint: str) -> Network:
    """Return the newest version of a file that begins with the pinned version 1, every step of it verified.

    Raises:
        FingerprintError: version 1 is not the one that was pinned.
        QuorumError, InvalidSignatureError, UnsignedError: too few governors, or a false signature.
        NetworkError and its relatives: bytes that are no network document.
    """
    first, *later = split_versions(data)
    newest = parse_network(first)
    pinned = parse_fingerprint(fingerprint)
    if fingerprint_of(newest) != pinned:
        raise FingerprintError(
            f"the document's fingerprint is {fingerprint_of(newest)}, pinned is {pinned}", field="fingerprint"
        )
    if newest.version != 1:
        raise NetworkError("the first document is not version 1", field="line 3")
    _check_governors(newest, newest)
    _refuse_strangers(newest, newest)
    for document in later:
        newest = verify_next(newest, parse_network(document))
    return newest


def verify_next(current: Network, following: Network) -> Network:
    """Return ``following``, linked to ``current``, after checking that it is the next version, signed by both.

    Raises:
        NetworkError: another network, another version or predecessor, or one that takes away what must stay verifiable.
        QuorumError, InvalidSignatureError, UnsignedError: too few governors, or a false signature.
    """
    if following.name != current.name:
        raise NetworkError(f"network {following.name} does not follow network {current.name}", field="line 2")
    if following.version != current.version + 1:
        raise NetworkError(f"version {following.version} does not follow version {current.version}", field="line 3")
    if following.previous != current.text_hash:
        raise NetworkError("the hash of the previous version is another", field="line 4")
    _check_governors(following, current)
    _check_governors(following, following)
    _refuse_strangers(following, current)
    check_continuity(current, following)
    return replace(following, before=current)


def check_continuity(current: Network, following: Network) -> None:
    """Check that what was said under ``current`` can be verified under ``following``.

    Raises:
        NetworkError: a member, a log key or a ruling is gone, or is not what it was.
    """
    for origin, member in current.members.items():
        later = following.members.get(origin)
        if later is None:
            raise NetworkError(
                f"{origin} is not there any more; a member ends, its history stays verifiable", field="members"
            )
        _check_keys_continue(member, later)
        _check_ruling_stays(member, later)


def _check_keys_continue(member: Member, later: Member) -> None:
    """Refuse log keys other than those before, with an end where they had none, and new ones behind them."""
    if len(later.log_keys) < len(member.log_keys):
        raise NetworkError(f"a log key of {member.origin} is gone", field="log_keys")
    for (start, until, key), (later_start, later_until, later_key) in zip(
        member.log_keys, later.log_keys, strict=False
    ):
        if (start, key) != (later_start, later_key):
            raise NetworkError(f"a log key of {member.origin} is not what it was", field="log_keys")
        if until is not None and until != later_until:
            raise NetworkError(f"a log key of {member.origin} ends elsewhere than it did", field="log_keys")


def _check_ruling_stays(member: Member, later: Member) -> None:
    before, after = member.entry.readmitted, later.entry.readmitted
    if before is not None and after != before and (after is None or after.size <= before.size):
        raise NetworkError(f"the ruling about {member.origin} is not what it was", field="readmitted")


def fingerprint_of(first: Network) -> str:
    """Return the network's fingerprint: the SHA-256 of version 1's text, 64 lowercase hexadecimal digits."""
    return first.text_hash.hex()


def parse_fingerprint(text: str) -> str:
    """Return a fingerprint as people write it (upper case, spaces, colons) in its one form.

    Raises:
        FingerprintError: not 64 hexadecimal digits.
    """
    digits = re.sub(r"[\s:]", "", text).lower()
    if re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise FingerprintError("a fingerprint has 64 hexadecimal digits", field="fingerprint")
    return digits


def _check_governors(document: Network, judge: Network) -> None:
    try:
        signed = open_note(document.note, judge.governors)  # at most one signature of each
    except UnsignedError as error:
        error.hint = GOVERNORS_HINT
        raise error.at("signatures") from None
    threshold = judge.body.governors.threshold
    if len(signed) < threshold:
        raise QuorumError(
            f"version {document.version} has {len(signed)} of the {threshold} signatures that it needs by governors of "
            f"version {judge.version}",
            field="signatures",
            limit=threshold,
            hint=GOVERNORS_HINT,
        )


def _refuse_strangers(document: Network, before: Network) -> None:
    """Refuse a signature line by nobody who governs: it may be a damaged line of somebody who does."""
    expected = {(key.name, key.key_id) for key in (*document.governors, *before.governors)}
    for number, signature in enumerate(document.note.signatures, 1):
        if (signature.name, signature.key_id) not in expected:
            raise UnsignedError(
                f"signature line {number} is by nobody who governs this network, or by somebody who has signed above",
                field="signatures",
            )
        expected.remove((signature.name, signature.key_id))
