"""Quorums: whether a checkpoint is confirmed (protocol sections 1 and 5).

A checkpoint that carries the cosignatures of k = ⌊(n+f)/2⌋+1 members, the owner's own among them, is confirmed: no
conflicting one can ever be, and its entries lie on at least k−f honest machines. Whoever asks counts for himself, from
the network document alone. Cosignatures of suspended members do not count, but are checked as well: who was suspended
later has cosigned what is evidence now.

Members and keys change from version to version of the network document. What was confirmed under one stays confirmed:
votes are counted under the newest version whose quorum they reach. A node that holds the log asks for more: from the
entry ``network.adopt`` on, a checkpoint needs the quorum of that version or of a later one (``at_least``).
"""

from dataclasses import dataclass, replace

from ledger.checkpoint import Checkpoint, parse_checkpoint_text
from ledger.errors import CheckpointError, InvalidSignatureError, KeyEndedError, QuorumError, UnsignedError
from ledger.network import Member, Network
from ledger.note import Note, Signature, VerifiedSignature, VerifierKey, open_note, parse_note


@dataclass(frozen=True, slots=True)
class Judged:
    """A checkpoint whose signatures have been verified: the log's own, and who has cosigned it."""

    checkpoint: Checkpoint
    note: Note
    owner: Member
    cosigners: tuple[tuple[str, int], ...]  # (origin of the member, POSIX seconds), by origin
    needed: int  # how many cosignatures make a quorum
    version: int  # of the network document under which they are counted
    verified: tuple[VerifiedSignature, ...]  # all of the note that were looked at

    @property
    def size(self) -> int:
        """How many entries it promises."""
        return self.checkpoint.size

    @property
    def bare(self) -> Note:
        """The checkpoint with the log's own signature alone, for a witness or a proof: others may be anybody's."""
        key = self.owner.checkpoint_key(self.size)
        own = next(one for one in self.note.signatures if (one.name, one.key_id) == (key.name, key.key_id))
        return Note(self.note.text, (own,))

    @property
    def confirmed(self) -> bool:
        """Whether the quorum is reached."""
        return len(self.cosigners) >= self.needed

    @property
    def vouched(self) -> int | None:
        """POSIX seconds at or after which a quorum has signed it: when it was last vouched for; None without a quorum.

        The time is that of the k-th newest cosignature. It is as good as the clocks of the k members: up to f of them
        may be set to anything, and make it no newer than the newest of the others.
        """
        times = sorted((time for _, time in self.cosigners), reverse=True)
        return times[self.needed - 1] if self.confirmed else None


def judge_checkpoint(
    data: bytes | Note, network: Network, *, at_least: int = 1, before: Judged | None = None
) -> Judged:
    """Return the checkpoint in ``data`` with its verified signatures; a missing quorum is no error here.

    Votes are counted under the newest version of the document, from version ``at_least`` on, whose quorum they reach;
    where they reach none, under the newest. What was verified in ``before``, should that be the same text with other
    cosignatures, is not verified again.

    Raises:
        UnknownLogError: its origin is no member's log.
        KeyEndedError: the log has signed it with a key that had ended.
        UnsignedError: the log has not signed it, or has no key for that size.
        InvalidSignatureError: a signature in the name of a known key is false; nothing of such a note counts.
        CheckpointError, NoteError, LimitError: bytes that are no checkpoint.
    """
    note = data if isinstance(data, Note) else parse_note(data)
    checkpoint = parse_checkpoint_text(note.text)
    owner = network.member(checkpoint.origin)
    if checkpoint.extensions:  # else a log could say two things for one size and root
        raise CheckpointError("the log of a member writes no extension lines", field="extensions")
    try:
        log_key = owner.checkpoint_key(checkpoint.size)
    except UnsignedError:
        _refuse_ended(note, owner, checkpoint)
        raise
    known = before.verified if before is not None and before.note.text == note.text else ()
    try:  # at most one signature of each key
        seen = open_note(note, (log_key, *_named_cosigners(note, network)), before=known)
    except UnsignedError:
        seen = ()
    if all(verified.key != log_key for verified in seen):
        _refuse_ended(note, owner, checkpoint)
        raise UnsignedError(f"{checkpoint.origin} has not signed this checkpoint", field="checkpoint")
    times = {verified.key: verified.time for verified in seen if verified.time is not None}
    counts = [one for one in network.versions if one.version >= at_least or one is network]
    votes, version = max(
        ((_votes(times, one), one) for one in counts),
        key=lambda count: (len(count[0]) >= count[1].quorum, count[1].version),
    )
    return Judged(checkpoint, note, owner, votes, version.quorum, version.version, seen)


def _refuse_ended(note: Note, owner: Member, checkpoint: Checkpoint) -> None:
    """Say so where the log has signed with a key that had ended.

    Raises:
        KeyEndedError: it has.
    """
    for key in owner.ended_keys(max(checkpoint.size - 1, 0)):
        try:
            open_note(note, (key,))
        except (UnsignedError, InvalidSignatureError):
            continue
        raise KeyEndedError(
            f"a checkpoint of {checkpoint.origin} for {checkpoint.size} entries is signed by key {key.key_id.hex()}, "
            "which had ended",
            field="checkpoint",
        )


def _votes(times: dict[VerifierKey, int], network: Network) -> tuple[tuple[str, int], ...]:
    """Return who has cosigned and when, of those whose cosignatures count under one version, by origin."""
    voters = ((key, network.voters.get((key.name, key.key_id))) for key in times)
    return tuple(
        sorted((member.origin, times[key]) for key, member in voters if member is not None and member.cosigner == key)
    )


def require_quorum(judged: Judged) -> Judged:
    """Return ``judged`` when its quorum is reached.

    Raises:
        QuorumError: too few members have cosigned.
    """
    if not judged.confirmed:
        raise QuorumError(
            f"the checkpoint has {len(judged.cosigners)} of the {judged.needed} cosignatures by members that it needs",
            field="checkpoint",
            limit=judged.needed,
        )
    return judged


def without_strangers(judged: Judged, network: Network) -> Judged:
    """Return the checkpoint with the lines of its log and of members alone, one of each key.

    Whoever has passed it on may have added others. Proof and evidence files, which rest on what a node has stored,
    refuse them.
    """
    log_key = judged.owner.checkpoint_key(judged.size)
    known = {(log_key.name, log_key.key_id), *network.cosigners_ever}
    kept: dict[tuple[str, bytes], Signature] = {}
    for signature in judged.note.signatures:
        if (place := (signature.name, signature.key_id)) in known:
            kept.setdefault(place, signature)
    return replace(judged, note=Note(judged.note.text, tuple(kept.values())))


def _named_cosigners(note: Note, network: Network) -> list[VerifierKey]:
    """Return the cosigner keys of any version that the note names: only those need be looked at."""
    named = ((signature.name, signature.key_id) for signature in note.signatures)
    return list({key: None for name in named if (key := network.cosigners_ever.get(name)) is not None})
