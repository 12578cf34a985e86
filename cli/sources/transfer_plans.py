"""What the rows of a CSV file mean for the departments whose log can be written here: shares and receipts.

A department tells its own side: of a row whose provider it is, the share; of a row whose consumer it is, the receipt.
The first provider's key makes the reference of a local identifier. Who passes a record on that it has received by an
earlier row uses that share's reference, and names it as the parent.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cli.sources.ids import TransferIds, as_reference, receipt_id
from cli.sources.names import Members
from cli.sources.plans import Need, Planned, UnknownNameError
from cli.sources.transfers import Transfer
from ledger.encoding import JsonObject, parse_time
from ledger.errors import LedgerError
from ledger.record import record_ref
from node.errors import UnknownConsumerError


@dataclass(slots=True)
class TransferPlans:
    """A file as its departments see it."""

    plans: list[Planned] = field(default_factory=list)
    refused: list[tuple[str, LedgerError]] = field(default_factory=list)  # places, and what is wrong there
    lost: dict[str, str] = field(default_factory=dict)  # the places of shares that will not be, by event id
    others: int = 0  # rows between departments that are none of these
    unmapped: Counter[str] = field(default_factory=Counter)  # rows by a name that leads to no member


@dataclass(frozen=True, slots=True)
class _Row:
    transfer: Transfer
    provider: str | None
    consumer: str | None
    share_id: str  # its place, where the names lead nowhere
    problem: LedgerError | None

    @property
    def place(self) -> str:
        return f"line {self.transfer.line}"


class Planner:
    """Makes plans of rows for the departments of ``keys``: their record keys, by origin."""

    def __init__(self, members: Members, keys: Mapping[str, bytes]) -> None:
        self._members = members
        self._keys = keys
        self._ids = TransferIds()
        self._received: dict[tuple[str, str], _Row] = {}  # the last row by which a department has received a record
        self.result = TransferPlans()

    def plan(self, transfers: Sequence[Transfer]) -> TransferPlans:
        """Return what the rows of a file, in their order, mean for the departments."""
        rows = [self._identified(transfer) for transfer in transfers]  # all of them, before any number is relied on
        for row in rows:
            if row.provider not in self._keys and row.consumer not in self._keys:
                self.result.others += 1
                continue
            if row.problem is not None:
                self._refuse(row, row.problem)
            else:
                self._plan_share(row)
                self._plan_receipt(row)
            if row.consumer in self._keys:
                self._received[row.transfer.record, str(row.consumer)] = row
        return self.result

    def _identified(self, transfer: Transfer) -> _Row:
        """Find a row's departments, and the id of its share."""
        place = f"line {transfer.line}"
        provider = self._members.origin(transfer.provider)
        consumer = self._members.origin(transfer.consumer)
        names = {transfer.provider: provider, transfer.consumer: consumer}
        unknown = [name for name, origin in names.items() if origin is None]
        self.result.unmapped.update(unknown)
        if provider is None or consumer is None:
            error = UnknownNameError(f"no member is known by the name {unknown[0][:80]!r}")
            return _Row(transfer, provider, consumer, place, error)
        if provider == consumer:
            same = UnknownConsumerError(f"both names are of {provider}: a department does not share with itself")
            return _Row(transfer, provider, consumer, place, same)
        moment = str(transfer.members["occurred_at"])
        share_id = self._ids.next(provider=provider, consumer=consumer, record=transfer.record, occurred_at=moment)
        return _Row(transfer, provider, consumer, share_id, transfer.problem)

    def _refuse(self, row: _Row, error: LedgerError) -> None:
        self.result.refused.append((row.place, error))
        self.result.lost[row.share_id] = row.place

    def _plan_share(self, row: _Row) -> None:
        if row.provider is None or row.provider not in self._keys:
            return
        source = self._received.get((row.transfer.record, row.provider))
        try:
            event = _share(row, self._keys[row.provider], first=source is None)
        except LedgerError as error:
            self._refuse(row, error)
            return
        need = self._need(source) if source is not None else None
        plan = Planned(place=row.place, department=row.provider, kind="share", event=event, need=need)
        self.result.plans.append(plan)

    def _plan_receipt(self, row: _Row) -> None:
        if row.consumer is None or row.consumer not in self._keys:
            return
        event = {
            "type": "receipt",
            "id": receipt_id(row.share_id),
            "outcome": "accepted",
            "occurred_at": row.transfer.members["occurred_at"],
        }
        plan = Planned(place=row.place, department=row.consumer, kind="receipt", event=event, need=self._need(row))
        self.result.plans.append(plan)

    def _need(self, row: _Row) -> Need:
        """Return what an event needs that rests on the share of a row."""
        consumer = str(row.consumer)
        provider = row.provider or consumer  # a name that means nobody: the share is lost, and its log never looked at
        moment = str(row.transfer.members["occurred_at"])
        unlike = None
        if (
            provider not in self._keys
        ):  # nothing but the order tells shares of one moment apart: their number must agree
            unlike = self._ids.beyond(
                provider=provider, consumer=consumer, record=row.transfer.record, occurred_at=moment
            )
        return Need(share_id=row.share_id, provider=provider, time_ms=parse_time(moment), unlike=unlike)


def _share(row: _Row, key: bytes, *, first: bool) -> JsonObject:
    members = dict(row.transfer.members)
    if "operator" in members:  # whoever it was, the ledger has a pseudonym that this department alone can resolve
        members["operator"] = as_reference(members["operator"]) or record_ref(
            key, members["operator"], scheme="operator"
        )
    reference = as_reference(row.transfer.record)
    if reference is None and first:
        reference = record_ref(key, row.transfer.record)
    event = {"type": "share", "id": row.share_id, "consumer": row.consumer, **members}
    return event if reference is None else {**event, "records": [reference]}
