"""Everything that can go wrong below the node, as one tree of exceptions.

    LedgerError
    ├── MalformedError               bytes that are not what the protocol says
    │   ├── DecimalError             bad_decimal
    │   ├── Base64Error              bad_base64
    │   ├── TimeError                bad_time
    │   ├── JsonError                bad_json
    │   │   ├── Utf8Error            invalid_utf8
    │   │   ├── DuplicateMemberError duplicate_member
    │   │   ├── FloatError           float_not_allowed
    │   │   └── NotCanonicalError    not_canonical
    │   ├── NoteError                bad_note
    │   ├── KeyFormatError           bad_key
    │   ├── CheckpointError          bad_checkpoint
    │   ├── ProofFormatError         bad_proof
    │   ├── TileError                bad_tile
    │   ├── EntryError               bad_entry
    │   ├── NetworkError             bad_network
    │   ├── ManifestError            bad_manifest
    │   ├── PolicyError              bad_policy
    │   └── EvidenceError            bad_evidence
    ├── LimitError                   a limit of this page was passed
    │   ├── TooLongError             too_long
    │   ├── TooManyError             too_many
    │   ├── TooDeepError             too_deep
    │   └── OutOfRangeError          out_of_range
    ├── EventError                   an event that breaks its type's schema
    │   ├── UnknownTypeError         unknown_event_type
    │   ├── UnknownMemberError       unknown_member
    │   ├── MissingMemberError       missing_member
    │   ├── WrongTypeError           wrong_type
    │   └── BadValueError            bad_value
    ├── VerificationError            well formed, and false
    │   ├── InvalidSignatureError    invalid_signature: a known key, a wrong signature
    │   ├── UnsignedError            unsigned: no signature by any key that is known
    │   │   └── KeyEndedError        key_ended: by a key of the log that had ended there
    │   ├── InclusionError           not_included
    │   ├── ConsistencyError         inconsistent
    │   ├── ChainError               broken_chain
    │   ├── QuorumError              no_quorum
    │   ├── FingerprintError         wrong_fingerprint
    │   └── UnknownLogError          unknown_log
    └── StoreError                   the disk
        ├── StoreMissingError        store_missing
        ├── StoreExistsError         store_exists
        ├── StoreLockedError         store_locked
        ├── StoreCorruptError        store_corrupt
        ├── StoreFailedError         store_failed: a write failed; reopen before the next one
        └── StoreClosedError         store_closed

Each class has a stable ``code`` that programs may rely on and a ``hint`` that says what to do next. Hostile or
damaged input raises one of these; a broken invariant of our own is an ``assert``, never the other way round.
"""

from typing import ClassVar


class LedgerError(Exception):
    """Base of all errors of this package: a message, and where the trouble lies.

    ``field`` names the member or line at fault (``"fields[3]"``, ``"line 5"``); ``limit`` is the bound that was passed.
    """

    code: ClassVar[str] = "ledger_error"
    hint: str = ""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        limit: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.limit = limit
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def at(self, prefix: str) -> "LedgerError":
        """Return this error with its field placed below ``prefix`` (``"events[2]"``)."""
        if self.field is None:
            self.field = prefix
        else:
            self.field = prefix + self.field if self.field.startswith("[") else f"{prefix}.{self.field}"
        return self


class MalformedError(LedgerError):
    """Bytes that do not have the form that the protocol gives them."""

    code = "malformed"
    hint = "the bytes are not what the protocol describes: see docs/protocol.md"


class DecimalError(MalformedError):
    """Not an ASCII decimal without sign or leading zero below 2^63 (protocol section 2)."""

    code = "bad_decimal"


class Base64Error(MalformedError):
    """Not padded, canonical base64 of the expected length (protocol section 2)."""

    code = "bad_base64"
    hint = "use standard base64 with padding (RFC 4648 section 4)"


class TimeError(MalformedError):
    """Not a time of the form 2026-11-21T08:15:30.123Z (protocol section 2)."""

    code = "bad_time"
    hint = "write times as 2026-11-21T08:15:30.123Z: UTC, exactly three decimals"


class JsonError(MalformedError):
    """Not JSON of the restricted kind that the protocol allows (protocol section 2)."""

    code = "bad_json"
    hint = "the text must be one JSON object"


class Utf8Error(JsonError):
    """Bytes that are not UTF-8."""

    code = "invalid_utf8"
    hint = "encode the text as UTF-8"


class DuplicateMemberError(JsonError):
    """An object names the same member twice."""

    code = "duplicate_member"
    hint = "keep one of the two; a reader could not tell which one counts"


class FloatError(JsonError):
    """A number with a fraction or an exponent, or not a number at all."""

    code = "float_not_allowed"
    hint = "use whole numbers; write a fraction as a string"


class NotCanonicalError(JsonError):
    """Valid JSON, but not in the one form that is signed (RFC 8785)."""

    code = "not_canonical"
    hint = "sort the member names, leave out white space, escape only what must be escaped (RFC 8785)"


class NoteError(MalformedError):
    """Not a signed note (c2sp.org/signed-note)."""

    code = "bad_note"


class KeyFormatError(MalformedError):
    """Not a verifier or signer key of a kind that is known here."""

    code = "bad_key"
    hint = "a verifier key reads name+hash+base64, see c2sp.org/signed-note"


class CheckpointError(MalformedError):
    """Not a checkpoint (c2sp.org/tlog-checkpoint)."""

    code = "bad_checkpoint"


class ProofFormatError(MalformedError):
    """Not a proof (c2sp.org/tlog-proof)."""

    code = "bad_proof"
    hint = "is the file whole? suyuan proof makes such files"


class TileError(MalformedError):
    """Not a tile, its path or an entry bundle (c2sp.org/tlog-tiles)."""

    code = "bad_tile"


class EntryError(MalformedError):
    """Not an entry of version 1 (protocol section 4)."""

    code = "bad_entry"


class NetworkError(MalformedError):
    """Not a network document of version 1 (protocol section 8)."""

    code = "bad_network"


class ManifestError(MalformedError):
    """Not a manifest of version 1 (see ledger/manifest.py)."""

    code = "bad_manifest"


class PolicyError(MalformedError):
    """Not a trust policy (c2sp.org/tlog-policy)."""

    code = "bad_policy"
    hint = "see the line that is named; c2sp.org/tlog-policy describes the format"


class EvidenceError(MalformedError):
    """Not an evidence file of version 1 (see ledger/evidence.py)."""

    code = "bad_evidence"
    hint = "is the file whole? suyuan trace --save and suyuan evidence save make such files"


class LimitError(LedgerError):
    """Something is larger, longer or deeper than it may be."""

    code = "over_limit"
    hint = "make it smaller, or split it"


class TooLongError(LimitError):
    """A string or a body with too many characters or bytes."""

    code = "too_long"


class TooManyError(LimitError):
    """A list with too many items."""

    code = "too_many"


class TooDeepError(LimitError):
    """JSON nested too deeply."""

    code = "too_deep"


class OutOfRangeError(LimitError):
    """A number outside of its range."""

    code = "out_of_range"
    hint = "see the range in the message"


class EventError(LedgerError):
    """An event that breaks the schema of its type."""

    code = "bad_event"
    hint = "suyuan share --help and /docs list the members of each event"


class UnknownTypeError(EventError):
    """An event of a type that this version does not know."""

    code = "unknown_event_type"


class UnknownMemberError(EventError):
    """A member that the event's type does not have."""

    code = "unknown_member"
    hint = "remove the member or correct its name; nothing is silently ignored"


class MissingMemberError(EventError):
    """A member that the event's type requires is not there."""

    code = "missing_member"


class WrongTypeError(EventError):
    """A member with a value of another JSON type."""

    code = "wrong_type"


class BadValueError(EventError):
    """A member of the right type whose value does not fit."""

    code = "bad_value"


class VerificationError(LedgerError):
    """The bytes are well formed, and what they claim is not true."""

    code = "not_verified"
    hint = "do not rely on it; keep the file as evidence and ask its source"


class InvalidSignatureError(VerificationError):
    """A signature in the name of a known key that this key did not make."""

    code = "invalid_signature"


class UnsignedError(VerificationError):
    """No signature by any of the keys that are known here; the unknown ones say nothing."""

    code = "unsigned"
    hint = "check that the network document, or the policy, is the one that names the signer's key"


class KeyEndedError(UnsignedError):
    """Signed by a log's own key, for a place at which that key had ended (protocol section 8)."""

    code = "key_ended"
    hint = "do not rely on it: whoever has a key that was given up can sign with it for ever; ask the department"


class InclusionError(VerificationError):
    """The entry is not at that index of the tree that the checkpoint promises."""

    code = "not_included"


class ConsistencyError(VerificationError):
    """The new tree does not extend the old one: a fork or a rewrite."""

    code = "inconsistent"
    hint = "keep both checkpoints: together they are the evidence"


class ChainError(VerificationError):
    """Entries that do not follow each other: hash, index or time do not fit."""

    code = "broken_chain"


class QuorumError(VerificationError):
    """Too few members have cosigned the checkpoint."""

    code = "no_quorum"
    hint = "wait until more members have cosigned, or ask why they do not"


class FingerprintError(VerificationError):
    """The network document is not the one that was pinned."""

    code = "wrong_fingerprint"
    hint = "compare the fingerprint with the one that was given to you out of band"


class UnknownLogError(VerificationError):
    """No member of the network has a log of that origin."""

    code = "unknown_log"
    hint = "suyuan network show lists the members and their logs"


class StoreError(LedgerError):
    """The database could not do what it was asked."""

    code = "store_error"
    hint = "see the log; suyuan doctor looks closer"


class StoreMissingError(StoreError):
    """There is no database where one should be; it is never made by opening it."""

    code = "store_missing"
    hint = "put it back, or make an empty one with suyuan init DIR --rebuild: the node fills it from its peers"


class StoreExistsError(StoreError):
    """There is a database already where a new one should be made."""

    code = "store_exists"
    hint = "use another folder, or remove the old one if it is really not needed"


class StoreLockedError(StoreError):
    """Another process has the database open."""

    code = "store_locked"
    hint = "only one process may open a node's data; stop the other one first"


class StoreCorruptError(StoreError):
    """Stored bytes are not those that were written."""

    code = "store_corrupt"
    hint = "do not repair in place: set the folder data aside; after suyuan init DIR --rebuild the node fills it anew"


class StoreFailedError(StoreError):
    """A write failed, so nothing more is written before the database has been closed and opened again."""

    code = "store_failed"
    hint = "free some disk space or mend the disk, then start the node again"


class StoreClosedError(StoreError):
    """The database was used after it had been closed."""

    code = "store_closed"
