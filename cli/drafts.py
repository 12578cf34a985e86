"""Network documents in the making: the text that governors will sign, and the file that holds all signed versions.

A draft is the unsigned text of one version (ledger/network.py). A chain file holds the signed versions, oldest first,
a blank line between two of them; its last one may still lack signatures while the governors sign one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from cli.files import read_file
from cli.language import _
from ledger.cosignature import add_signatures
from ledger.encoding import decode_utf8, parse_canonical_json, parse_decimal, parse_hash, parse_json
from ledger.errors import LedgerError, NetworkError, UnsignedError
from ledger.event.base import parse_model
from ledger.network import DOCUMENT_BYTES_MAX, FORMAT, DocumentBody, MemberEntry, Network, network_text, parse_network
from ledger.note import Note, SigningKey, VerifierKey, open_note
from ledger.versions import check_continuity, split_versions

MEMBER_BYTES_MAX = 64 * 1024  # a member's entry with a hundred log keys
FIRST_PREVIOUS = sha256(b"").digest()  # what version 1 names as its predecessor (protocol section 8)
_LINES = 5


@dataclass(frozen=True, slots=True)
class Draft:
    """One version of a network document before it is signed."""

    name: str
    version: int
    previous: bytes
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """What is signed; making it checks every part.

        Raises:
            LedgerError: a part that cannot be.
        """
        return network_text(self.name, self.version, self.previous, self.body)

    @property
    def network(self) -> Network:
        """The draft as a network without any signature."""
        return Network(
            self.name, self.version, self.previous, parse_model(DocumentBody, self.body), Note(self.text, ())
        )

    def with_members(self, members: Sequence[dict[str, Any]]) -> "Draft":
        """Return the draft with further members behind its own."""
        return replace(self, body={**self.body, "members": [*self.body["members"], *members]})


def is_signed(data: bytes) -> bool:
    """Tell whether a file holds signed versions; a draft has no signature lines."""
    return b"\n\n" in data


def parse_draft(data: bytes) -> Draft:
    """Return the draft of a file.

    Raises:
        LedgerError: it is none, and why.
    """
    lines = decode_utf8(data, field="draft").split("\n")
    if len(lines) != _LINES + 1 or lines[0] != FORMAT or lines[_LINES]:
        raise NetworkError(f"a draft has five lines, the first of them {FORMAT}", field="line 1")
    body = parse_canonical_json(lines[4], field="line 5")
    if not isinstance(body, dict):
        raise NetworkError("the body is not a JSON object", field="line 5")
    draft = Draft(lines[1], parse_decimal(lines[2], field="line 3"), parse_hash(lines[3], field="line 4"), body)
    assert draft.text.encode() == data  # every line was canonical
    return draft


def following(newest: Network) -> Draft:
    """Return the draft of the version after a signed one, its body the same so far."""
    body = parse_canonical_json(newest.text.split("\n")[4])
    assert isinstance(body, dict)
    return Draft(newest.name, newest.version + 1, newest.text_hash, body)


def read_member(path: Path) -> dict[str, Any]:
    """Return a member's entry, as ``suyuan init`` writes it.

    Raises:
        LedgerError: it is none, with the file's name.
    """
    try:
        value = parse_json(read_file(path, MEMBER_BYTES_MAX))
        parse_model(MemberEntry, value)
    except LedgerError as error:
        raise error.at(str(path)) from None
    assert isinstance(value, dict)
    return value


def read_networks(data: bytes) -> list[Network]:
    """Return the versions of a chain file, or the one of a draft; no signature is judged."""
    if is_signed(data):
        return [parse_network(document) for document in split_versions(data)]
    return [parse_draft(data).network]


def sign(draft: Draft, signers: Sequence[SigningKey], chain: bytes | None) -> tuple[bytes, Network]:
    """Return the chain file with the draft as its last version, signed by further governors, and that version.

    ``chain`` is the file as it is, where there is one: it ends with the version before the draft, or with the draft
    itself, signed by others.

    Raises:
        UnsignedError: a key that governs neither this version nor the one before.
        NetworkError: the draft takes away what must stay.
        click.UsageError: the chain does not lead to this draft.
    """
    earlier, begun = _split_chain(draft, chain)
    before = parse_network(earlier[-1]) if earlier else None
    if before is not None:
        check_continuity(before, draft.network)
    _check_governors(draft.network, before, signers)
    note = Note(draft.text, begun.signatures if begun is not None else ())
    note = add_signatures(note, [signer.sign(draft.text) for signer in signers])
    return b"\n".join((*earlier, note.encode())), parse_network(note.encode())


def missing_signatures(document: Network, before: Network | None) -> int:
    """Return how many governors must still sign, of this version or of the one before."""
    judges = filter(None, (document, before))
    return max(0, *(judge.body.governors.threshold - len(signed_by(document, judge)) for judge in judges))


def signed_by(document: Network, judge: Network) -> list[VerifierKey]:
    """Return the governors of ``judge`` who have signed a document, in their order; a false signature is refused."""
    try:
        signed = {verified.key for verified in open_note(document.note, judge.governors)}
    except UnsignedError:
        return []
    return [key for key in judge.governors if key in signed]


def _split_chain(draft: Draft, chain: bytes | None) -> tuple[list[bytes], Note | None]:
    """Return the versions before the draft, and the draft as far as it is signed already."""
    documents = split_versions(chain) if chain else []
    newest = parse_network(documents[-1]) if documents else None
    begun = None
    if newest is not None and newest.text == draft.text:
        documents.pop()
        begun = newest.note
        newest = parse_network(documents[-1]) if documents else None
    expected = (newest.version + 1, newest.text_hash) if newest is not None else (1, FIRST_PREVIOUS)
    if (draft.version, draft.previous) != expected:
        raise click.UsageError(
            _(
                "version {version} does not follow the last one of the signed versions; give their file with --out",
                version=draft.version,
            )
        )
    return documents, begun


def _check_governors(document: Network, before: Network | None, signers: Sequence[SigningKey]) -> None:
    known = {*document.governors, *(before.governors if before is not None else ())}
    for signer in signers:
        if signer.verifier not in known:
            raise UnsignedError(f"{signer.name} does not govern this network", field="governors")


def read_draft(path: Path) -> Draft:
    """Return the draft in a file.

    Raises:
        LedgerError: it is none.
        click.UsageError: it cannot be read.
    """
    return parse_draft(read_file(path, DOCUMENT_BYTES_MAX))
