"""What X-Road calls mean for the departments whose log can be written here: shares and receipts.

    producer's record   client's record   what is recorded
    succeeded           succeeded         a share, and a receipt: accepted
    succeeded           failed            a share, and a receipt: rejected, the fault as its reason
    succeeded           missing           a share; the client's side is an orphan until its receipt is there
    missing             succeeded         a receipt, once the provider's share is there; until then an orphan
    missing             failed            a receipt: rejected, where the share is there; else no data has left
    failed              failed, missing   nothing: no data has left
    failed              succeeded         nothing: the two contradict each other, which is a finding

The service's member is the provider of the data, the client's member the consumer. A call says nothing about single
records and their purpose: shares of it carry no record references, and the purpose is the operator's to give.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.sources.ids import receipt_id
from cli.sources.names import Members
from cli.sources.plans import Need, Planned, UnknownNameError
from cli.sources.xroad import WINDOW_MS, Call, Matched, Party, Sighting
from ledger.encoding import JsonObject, format_time
from ledger.errors import LedgerError
from ledger.record import record_ref
from node.errors import RefusedError


class NoPurposeError(RefusedError):
    """X-Road logs no purpose, and nobody has given one."""

    code = "no_purpose"
    hint = "give --purpose, or the purpose of each service in the table [purposes] of --map"


class ContradictionError(RefusedError):
    """The client has received what the provider says it never sent."""

    code = "contradiction"
    hint = "ask both operators for the logs of their security servers"


@dataclass(frozen=True, slots=True)
class Purposes:
    """What calls were for: by service, by subsystem, by member, else one for all."""

    by_name: Mapping[str, str]
    default: str | None = None

    def of(self, call: Call) -> str | None:
        """Return the purpose of a call; the longest name of its service that is known decides."""
        service = call.key.service
        names = (str(service), f"{service.provider}/{service.code}", str(service.provider), service.provider.member)
        return next((self.by_name[name] for name in names if name in self.by_name), self.default)


@dataclass(frozen=True, slots=True)
class Sided:
    """A call with the departments that it was between."""

    call: Call
    provider: str
    consumer: str

    @property
    def origin_missing(self) -> str:
        """The department whose side is not there."""
        return self.consumer if self.call.missing == "client" else self.provider

    @property
    def other_half(self) -> str:
        """The id of the event that the missing side records, or has recorded."""
        share_id = self.call.share_id
        return receipt_id(share_id) if self.call.missing == "client" else share_id


@dataclass(slots=True)
class XRoadPlans:
    """The calls as the departments see them."""

    plans: list[Planned] = field(default_factory=list)
    refused: list[tuple[str, LedgerError]] = field(default_factory=list)  # places, and what is wrong there
    lost: dict[str, str] = field(default_factory=dict)  # the places of shares that will not be, by event id
    one_sided: list[Sided] = field(default_factory=list)  # data was passed, and one side is not there
    doubtful: set[str] = field(default_factory=set)  # ids of rejections, where the data may never have left
    failed: int = 0  # calls in which no data has left
    internal: int = 0  # calls of a department to itself
    others: int = 0  # calls between departments that are none of these
    unmapped: Counter[str] = field(default_factory=Counter)  # calls by an X-Road member that no map knows


class Planner:
    """Makes plans of calls for the departments of ``keys``: their record keys, by origin."""

    def __init__(self, members: Members, keys: Mapping[str, bytes], purposes: Purposes) -> None:
        self._members = members
        self._keys = keys
        self._purposes = purposes
        self.result = XRoadPlans()

    def plan(self, matched: Matched) -> XRoadPlans:
        """Return what the calls mean for the departments."""
        for call in matched.calls:
            self._plan_call(call)
        return self.result

    def _plan_call(self, call: Call) -> None:
        client, service = call.key.client, call.key.service.provider
        provider, consumer = self._origin(service), self._origin(client)
        if provider == consumer and (provider is not None or client.member == service.member):
            self.result.internal += 1
            return
        unknown = {party.member for party, origin in ((client, consumer), (service, provider)) if origin is None}
        self.result.unmapped.update(unknown)
        if provider not in self._keys and consumer not in self._keys:
            self.result.others += 1
        elif call.failed and call.producer is not None:
            self.result.failed += 1
        elif provider is None or consumer is None:
            self._plan_unknown(call, min(unknown))
        elif call.contradicted:
            problem = f"the client's side succeeded, the provider's failed: {call.seen.failure}"
            self.result.refused.append((call.seen.place, ContradictionError(problem)))
        else:
            self._plan_sides(Sided(call, provider, consumer))

    def _plan_unknown(self, call: Call, member: str) -> None:
        if call.failed:
            self.result.failed += 1
        else:
            error = UnknownNameError(f"no map says which department {member} is")
            self.result.refused.append((call.seen.place, error))

    def _plan_sides(self, sided: Sided) -> None:
        call = sided.call
        if call.producer is not None and sided.provider in self._keys:
            self._plan_share(sided, call.producer)
        if call.client is not None:
            if sided.consumer in self._keys:
                self._plan_receipt(sided, call.client)
            elif call.failed:
                self.result.failed += 1
        if call.missing is not None and not call.failed:
            self.result.one_sided.append(sided)

    def _plan_share(self, sided: Sided, producer: Sighting) -> None:
        call = sided.call
        purpose = self._purposes.of(call)
        if purpose is None:
            error = NoPurposeError("X-Road logs no purpose, and a share has one")
            self.result.refused.append((producer.place, error))
            self.result.lost[call.share_id] = producer.place
            return
        event: JsonObject = {
            "type": "share",
            "id": call.share_id,
            "consumer": sided.consumer,
            "resource": str(call.key.service),
            "purpose": purpose,
            "method": "api" if producer.is_rest else "message",
            "calls": 1,
            "labels": _labels(producer),
            "occurred_at": format_time(producer.response_out),
        }
        _add(event, bytes=producer.size, case=producer.issue, system=call.key.service.provider.subsystem)
        self.result.plans.append(Planned(place=producer.place, department=sided.provider, kind="share", event=event))

    def _plan_receipt(self, sided: Sided, client: Sighting) -> None:
        call = sided.call
        event: JsonObject = {
            "type": "receipt",
            "id": receipt_id(call.share_id),
            "outcome": "accepted" if client.succeeded else "rejected",
            "labels": _labels(client),
            "occurred_at": format_time(client.response_out),
        }
        _add(event, bytes=client.size, case=client.issue, system=call.key.client.subsystem)
        if client.user is not None:
            event["operator"] = record_ref(self._keys[sided.consumer], client.user, scheme="operator")
        if not client.succeeded:
            event["reason"] = client.failure
        need = Need(
            share_id=call.share_id,
            provider=sided.provider,
            time_ms=call.seen.response_out,
            tolerance_ms=WINDOW_MS,
        )
        plan = Planned(
            place=client.place, department=sided.consumer, kind="receipt", event=event, need=need,
            optional=call.producer is None,
        )  # fmt: skip
        self.result.plans.append(plan)
        if call.failed:
            self.result.doubtful.add(plan.id)

    def _origin(self, party: Party) -> str | None:
        """Return a party's department: that of its subsystem, where the map has it, else that of its member."""
        return self._members.origin(str(party)) or self._members.origin(party.member)


def _labels(sighting: Sighting) -> dict[str, str]:
    told = {
        "xroad.message_id": sighting.message_id,
        "xroad.request_id": sighting.request_id,
        "xroad.protocol": sighting.protocol,
    }
    return {name: value for name, value in told.items() if value is not None}


def _add(event: JsonObject, **members: str | int | None) -> None:
    """Add the members that have something to say."""
    event |= {name: value for name, value in members.items() if value is not None}
