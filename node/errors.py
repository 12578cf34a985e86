"""What can go wrong in a node, beside what goes wrong below it (see ledger/errors.py).

    LedgerError
    └── NodeError
        ├── ConfigError            bad_config: the configuration or a key file
        │   ├── PassphraseNeededError  passphrase_needed: a key file is closed, and nobody gives the passphrase
        │   └── WrongPassphraseError   wrong_passphrase
        ├── SignerError            signer_failed: whatever has a signing key does not sign
        ├── RefusedError           well formed, but the rules say no
        │   ├── ConflictError      event_id_conflict: the same id with other content
        │   ├── UnknownConsumerError  unknown_consumer
        │   ├── UnknownShareError  unknown_share
        │   ├── NotYoursError      not_yours: a receipt for somebody else's share
        │   ├── AlreadyAnsweredError  already_answered
        │   ├── DigestMismatchError   digest_mismatch
        │   ├── UnknownParentError    unknown_parent
        │   ├── UnknownManifestError  unknown_manifest
        │   └── RotationError      rotation_refused: a key that cannot be announced, or not there
        ├── NotFoundError          not_found
        ├── BusyError              busy: a queue is full; try again
        │   └── ManifestsWaitingError  manifests_waiting: too many that no share names
        ├── NotConfirmedError      not_confirmed: recorded, but the quorum did not answer in time
        ├── ReadOnlyError          read_only: this node does not write now
        └── IntegrityAlarm         integrity_alarm: the store is not what this node has signed
            └── FrozenError        log_frozen: a log has told two stories, and nothing new of it is taken

As below the node, each class has a stable ``code`` and a ``hint``; node/api/problems.py gives each its status.
"""

from typing import Literal

from ledger.errors import LedgerError

AlarmCause = Literal[
    "ahead",  # more of the own log was signed than is here
    "contradiction",  # a log has signed what its entries here are not, and it cannot be proven to others
    "damage",  # the store is not what was written
    "ended_key",  # entries are here that are signed by a key that had ended
    "equivocation",  # a log has told two stories
    "fork",  # the governors have signed two documents of one version
    "keys",  # the document names a key that is not here
    "ruling",  # the governors' ruling is not, or cannot be, the history that is here
    "service",  # a part of the node has met a fault of the software
]


class NodeError(LedgerError):
    """Base of the node's own errors."""

    code = "node_error"


class ConfigError(NodeError):
    """The configuration, or a file that it names, cannot be used."""

    code = "bad_config"
    hint = "suyuan config show prints what was read and from where"


class PassphraseNeededError(ConfigError):
    """A key file is closed with a passphrase, and nobody gives it."""

    code = "passphrase_needed"
    hint = "set SUYUAN_PASSPHRASE, or passphrase_file in the settings, or start it on a terminal, which asks for it"


class WrongPassphraseError(ConfigError):
    """The passphrase does not open a key file, or the file is not what was written."""

    code = "wrong_passphrase"
    hint = "give the passphrase with which the keys were encrypted; if it is that one, restore the file from the backup"


class SignerError(NodeError):
    """A device or process that has a signing key does not sign."""

    code = "signer_failed"
    hint = "see that the signing process runs and has the key; log_key, cosigner_key and transport_key name it"


class RefusedError(NodeError):
    """The request is well formed, and the rules do not allow it; nothing was written."""

    code = "refused"


class ConflictError(RefusedError):
    """An event with this id is recorded already, with other content."""

    code = "event_id_conflict"
    hint = "use a new id for a new event; the same id answers again only for the same content"


class UnknownConsumerError(RefusedError):
    """A share for somebody who is not an active member of the network."""

    code = "unknown_consumer"
    hint = "suyuan network show lists the members"


class UnknownShareError(RefusedError):
    """A receipt for a share that this node does not have, or not in that form."""

    code = "unknown_share"
    hint = "wait until this node has mirrored the provider's log, or correct the reference"


class NotYoursError(RefusedError):
    """A receipt for a share that went to somebody else."""

    code = "not_yours"
    hint = "only the consumer that the share names can answer it"


class AlreadyAnsweredError(RefusedError):
    """A second receipt for the same share."""

    code = "already_answered"
    hint = "a share is answered once; see suyuan show for the receipt"


class DigestMismatchError(RefusedError):
    """A receipt that accepts other data than the share states."""

    code = "digest_mismatch"
    hint = "reject the share, with the reason, if other data has arrived"


class UnknownParentError(RefusedError):
    """A share that names a source which this node has not received."""

    code = "unknown_parent"
    hint = "name the share by which this department received the data"


class UnknownManifestError(RefusedError):
    """A share or receipt with a manifest that this node does not keep."""

    code = "unknown_manifest"
    hint = "post the manifest first: suyuan share does so by itself"


class RotationError(RefusedError):
    """A new key that this log does not announce."""

    code = "rotation_refused"
    hint = "suyuan keys rotate makes a key and announces it; suyuan keys list shows which there are"


class NotFoundError(NodeError):
    """There is no such thing here."""

    code = "not_found"


class BusyError(NodeError):
    """More is waiting than this node keeps in memory."""

    code = "busy"
    hint = "try again after the time that Retry-After gives"


class ManifestsWaitingError(BusyError):
    """A client has posted more manifests than it has named in shares; none is dropped to make room."""

    code = "manifests_waiting"
    hint = "record the shares that name the manifests posted before, then post this one again"


class NotConfirmedError(NodeError):
    """Recorded and durable here, but the quorum did not answer while the caller waited."""

    code = "not_confirmed"
    hint = "the event is recorded; ask for its state again later"


class ReadOnlyError(NodeError):
    """This node answers questions, but does not write."""

    code = "read_only"
    hint = "suyuan doctor says why"


class IntegrityAlarm(NodeError):  # noqa: N818 - an alarm is what the operator must see
    """What the store holds is not what this node has signed, or a peer shows another history."""

    code = "integrity_alarm"
    hint = "stop the node, keep its folder as it is, and run suyuan doctor"
    cause: AlarmCause = "damage"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        cause: AlarmCause | None = None,
    ) -> None:
        super().__init__(message, field=field, hint=hint)
        if cause is not None:
            self.cause = cause


class FrozenError(IntegrityAlarm):
    """A log has told two stories: what was confirmed before stays, nothing new is taken or cosigned."""

    code = "log_frozen"
    cause = "equivocation"
    hint = "suyuan evidence list shows the proof; the log goes on when the governors have readmitted it"
