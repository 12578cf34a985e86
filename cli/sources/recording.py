"""Recording what an import has planned: events of one or several departments, each through its own node.

An event may need a share that must be at the department's own node first: a receipt the share that it answers, an
onward share the share by which the data came. The recorder posts what can be posted, in batches, and looks again: for
shares that this run has recorded itself until the nodes have mirrored them, for those of other departments as long as
it was told to wait.

Every event has an id that follows from its source, so an interrupted import is simply run again: the node answers a
known id with the entry that it has. Such entries are told from new ones by their index, which lies below the log's
size at the start of the run.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from cli.sources.plans import Need, Outcome, Planned
from ledger.encoding import JsonObject, parse_time
from ledger.errors import LedgerError
from ledger.event import EntryRef, Share, read_event
from node.client import BadAnswerError, NodeProblem, Recorded, UnreachableError, parse_ref
from node.errors import RefusedError

BATCH_EVENTS_MAX = 400
BATCH_CHARACTERS_MAX = 4 * 1024 * 1024  # at most 12 MB of UTF-8; a node takes 16 MB
POLL_SECONDS = 0.2
MIRROR_SECONDS_MAX = 60.0  # a share of this run that the other node has not mirrored by then is left for the next run
RETRIES_MAX = 20  # of a request that a node was too busy for, or did not answer
RETRY_SECONDS = 0.5

_PLACE_IN_BATCH: Final = re.compile(r"^events\[([0-9]{1,4})\](\.|: |$)")
_REFUSALS: Final = frozenset({409, 422})
_BUSY: Final = frozenset({429, 503})
_NOT_FOUND: Final = 404

_Answer = TypeVar("_Answer")
_Ready = tuple[Planned, JsonObject]


class NodeClient(Protocol):
    """What is asked of a node (see node/client.py)."""

    def post_events(self, events: Sequence[JsonObject]) -> list[Recorded]:
        """Record events, all or none."""

    def event(self, event_id: str, log: str | None = None) -> JsonObject:
        """Return the entry of an event, in ``log`` if that is given."""

    def logs(self) -> JsonObject:
        """Return the logs that the node holds."""


class Advance(Protocol):
    """Hears how far the work is."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Hear it."""


class NotThatShareError(RefusedError):
    """The event that should be the share is something else."""

    code = "not_that_share"
    hint = "the two sources disagree about this transfer: compare them"


class AmbiguousError(RefusedError):
    """Several shares could be the one that is meant."""

    code = "ambiguous_share"
    hint = "give record references instead of local identifiers, or answer these shares with suyuan receive"


class SourceRefusedError(RefusedError):
    """The share that an event rests on was refused."""

    code = "source_refused"
    hint = "see why that share was refused"


class _Absent(Exception):  # noqa: N818 - no error: the share may still come
    """The share is not here yet."""

    def __init__(self, reason: str, *, soon: bool = False) -> None:
        super().__init__(reason)
        self.soon = soon  # this run has recorded it: it is on its way


class _Found:
    """A share that an event can rest on."""

    __slots__ = ("records", "ref")

    def __init__(self, ref: EntryRef, records: list[str]) -> None:
        self.ref = ref
        self.records = records


class Recorder:
    """Records plans through the nodes of their departments."""

    def __init__(
        self,
        clients: Mapping[str, NodeClient],
        *,
        sleep: Callable[[float], None],
        advance: Advance | None = None,
        wait_seconds: float = 0.0,
        lost: Mapping[str, str] | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        """Post through ``clients`` (by origin); ``wait_seconds`` is the patience for shares of other departments.

        ``lost`` has the places of shares that cannot be planned at all, by event id: what rests on them is refused.
        """
        self._clients = clients
        self._sleep = sleep
        self._advance = advance
        self._wait_seconds = wait_seconds
        self.outcome = outcome or Outcome()
        self._shares: dict[str, _Found] = {}  # recorded in this run, by event id
        self._refused = dict(lost or {})  # the places of shares that were refused, by event id
        self._planned: set[str] = set()  # ids of shares that are not recorded yet
        self._looked: dict[tuple[str, str], int] = {}  # size of the provider's log when a share was last not there
        self._start: dict[str, int] = {}  # size of each department's own log before anything was recorded
        self._done = 0
        self._total = 0

    def run(self, plans: Sequence[Planned]) -> Outcome:
        """Record what can be recorded.

        Raises:
            ClientError: a node does not answer, or refuses a request as a whole. Run the same import again.
        """
        self._start = {origin: _sizes(client.logs()).get(origin, 0) for origin, client in self._clients.items()}
        self._total = len(plans)
        self._planned = {plan.id for plan in plans if plan.kind == "share"}
        pending: dict[str, list[Planned]] = {origin: [] for origin in self._clients}
        for plan in self._checked_plans(plans):
            pending[plan.department].append(plan)
        idle = 0.0
        while True:
            before = self._done
            absent = {origin: self._round(origin, own) for origin, own in pending.items()}
            soon = any(reason.soon for waiting in absent.values() for _, reason in waiting)
            idle = 0.0 if self._done > before else idle + POLL_SECONDS
            if not any(absent.values()) or idle > (MIRROR_SECONDS_MAX if soon else self._wait_seconds):
                break
            pending = {origin: [plan for plan, _ in waiting] for origin, waiting in absent.items()}
            self._sleep(POLL_SECONDS)
        for waiting in absent.values():
            for plan, reason in waiting:
                self._give_up(plan, str(reason))
        return self.outcome

    def rehearse(self, plans: Sequence[Planned]) -> Outcome:
        """Check all plans, and count as made what a run would record; optional ones hang on what only a node knows."""
        self._total = len(plans)
        for plan in self._checked_plans(plans):
            if plan.need is not None and plan.need.share_id in self._refused:
                self._refuse(plan, self._source_refused(plan.need))
            elif plan.optional:
                self.outcome.dropped.add(plan.id)
            else:
                self.outcome.made[plan.kind] += 1
                self._count()
        return self.outcome

    def has(self, department: str, event_id: str, log: str) -> bool:
        """Tell whether a department's node knows an event, in a certain log."""
        answer = self._look_up(department, event_id, log)
        return answer is not None and parse_ref(answer.get("entry")).log == log

    # One round of one department.

    def _round(self, origin: str, plans: list[Planned]) -> list[tuple[Planned, _Absent]]:
        """Record what a department can record now; return the rest, each with what it waits for."""
        if not plans:
            return []
        absent: list[tuple[Planned, _Absent]] = []
        sizes = _sizes(self._patiently(self._clients[origin].logs))
        ready: list[_Ready] = []
        for plan in plans:
            try:
                ready.append((plan, self._complete(plan, sizes)))
            except _Absent as reason:
                absent.append((plan, reason))
            except RefusedError as error:
                self._refuse(plan, error)
            if len(ready) == BATCH_EVENTS_MAX:
                self._post(origin, ready)
                ready = []
        self._post(origin, ready)
        return absent

    def _complete(self, plan: Planned, sizes: Mapping[str, int]) -> JsonObject:
        """Return the event as it will be recorded.

        Raises:
            _Absent: the share that it needs is not here yet.
            RefusedError: what is here is not the share that it needs.
        """
        if plan.need is None:
            return plan.event
        share = self._find(plan.department, plan.need, sizes)
        if plan.kind == "share" and "records" not in plan.event and len(share.records) != 1:
            raise NotThatShareError(f"{share.ref} names {len(share.records)} records, not the one of this row")
        return plan.completed(share.ref, share.records)

    def _find(self, department: str, need: Need, sizes: Mapping[str, int]) -> _Found:
        if need.share_id in self._refused:
            raise self._source_refused(need)
        size = sizes.get(need.provider, 0)
        share = self._shares.get(need.share_id)
        if share is not None:
            if share.ref.index >= size:
                raise _Absent("this department's node has not mirrored the share yet", soon=True)
            return share
        if need.share_id in self._planned:
            raise _Absent("the share waits itself")
        place = (department, need.share_id)
        if self._looked.get(place) != size:
            answer = self._look_up(department, need.share_id, need.provider)
            if answer is not None:
                return self._checked(department, need, answer)
            self._looked[place] = size
        raise _Absent(f"the share by {need.provider} has not arrived here")

    def _checked(self, department: str, need: Need, answer: JsonObject) -> _Found:
        """Return the share in a node's answer, if it is the one that is needed."""
        ref = parse_ref(answer.get("entry"))
        event = read_event(answer.get("event") or {})
        if ref.log != need.provider or not isinstance(event, Share) or event.consumer != department:
            raise NotThatShareError(f"{ref} is no share by {need.provider} to this department")
        if answer.get("verified") is not True:
            raise NotThatShareError(f"{ref} is not verified: {answer.get('verification')}")
        if abs(parse_time(event.occurred_at) - need.time_ms) > need.tolerance_ms:
            raise NotThatShareError(f"{ref} is a share of another time, {event.occurred_at}")
        if need.unlike is not None and self.has(department, need.unlike, need.provider):
            raise AmbiguousError(f"{need.provider} has recorded more shares of that moment than the file has rows")
        return _Found(ref, event.records or [])

    def _source_refused(self, need: Need) -> SourceRefusedError:
        return SourceRefusedError(f"the share of {self._refused[need.share_id]} was refused")

    def _checked_plans(self, plans: Sequence[Planned]) -> list[Planned]:
        """Return the plans that a node would take, as far as they themselves can tell."""
        good = []
        for plan in plans:
            try:
                plan.check()
            except LedgerError as error:
                self._refuse(plan, error)
            else:
                good.append(plan)
        return good

    # What became of an event.

    def _post(self, origin: str, ready: list[_Ready]) -> None:
        """Post events in batches; where a node refuses one of them, the others go without it, fewer at once."""
        most = BATCH_EVENTS_MAX
        while ready:
            batch = _first(ready, most)
            events = [event for _, event in batch]
            try:
                answers = self._patiently(partial(self._clients[origin].post_events, events))
            except NodeProblem as problem:
                number = _refused_number(problem, len(batch))
                if number is None:
                    raise
                plan, _ = ready.pop(number)
                problem.message = _PLACE_IN_BATCH.sub("", problem.message)
                self._refuse(plan, problem)
                most = max(most // 2, 1)
                continue
            for (plan, event), answer in zip(batch, answers, strict=True):
                self._note(plan, event, answer)
            del ready[: len(batch)]
            most = min(most * 2, BATCH_EVENTS_MAX)

    def _note(self, plan: Planned, event: JsonObject, answer: Recorded) -> None:
        if plan.kind == "share":
            self._shares[plan.id] = _Found(answer.entry, event.get("records", []))
            self._planned.discard(plan.id)
        counts = self.outcome.there if answer.entry.index < self._start[plan.department] else self.outcome.made
        counts[plan.kind] += 1
        self._count()

    def _refuse(self, plan: Planned, error: LedgerError) -> None:
        if plan.kind == "share":
            self._refused[plan.id] = plan.place
            self._planned.discard(plan.id)
        self.outcome.refuse(plan.place, error, plan)
        self._count()

    def _give_up(self, plan: Planned, reason: str) -> None:
        if plan.optional:
            self.outcome.dropped.add(plan.id)
        else:
            self.outcome.wait(plan, reason)

    def _count(self) -> None:
        self._done += 1
        if self._advance is not None:
            self._advance(self._done, self._total)

    # Asking a node.

    def _look_up(self, department: str, event_id: str, log: str) -> JsonObject | None:
        """Return an event of one log: an id that can be foreseen may stand in another log too."""
        try:
            return self._patiently(partial(self._clients[department].event, event_id, log))
        except NodeProblem as problem:
            if problem.status == _NOT_FOUND:
                return None
            raise

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask again where a node was busy or did not answer: the ids make that harmless."""
        for _ in range(RETRIES_MAX):
            try:
                return ask()
            except NodeProblem as problem:
                if problem.status not in _BUSY:
                    raise
            except UnreachableError:
                pass
            self._sleep(RETRY_SECONDS)
        return ask()


def _sizes(answer: JsonObject) -> dict[str, int]:
    """Return the sizes of the logs in a node's answer."""
    try:
        return {str(one["log"]): int(one["size"]) for one in answer["logs"]}
    except (KeyError, TypeError, ValueError):
        raise BadAnswerError("the answer does not say how large the logs are", field="logs") from None


def _first(ready: list[_Ready], most: int) -> list[_Ready]:
    """Return the next batch: at least one event, no more than a node takes at once."""
    characters = 0
    for number, (_, event) in enumerate(ready[:most]):
        characters += len(str(event))
        if number and characters > BATCH_CHARACTERS_MAX:
            return ready[:number]
    return ready[:most]


def _refused_number(problem: NodeProblem, count: int) -> int | None:
    """Return which event of a batch the node has refused, where it was one of them and not the request."""
    if problem.status not in _REFUSALS or problem.code == "integrity_alarm":
        return None
    match = _PLACE_IN_BATCH.match(problem.field or "")
    if match is None:
        return 0 if count == 1 else None
    number = int(match[1])
    return number if number < count else None
