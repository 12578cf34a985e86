"""X-Road's operational monitoring records: both security servers' views of a call, put together again.

    {"securityServerType": "Producer", "requestInTs": 1671066024379, "responseOutTs": 1671066024390,
     "clientXRoadInstance": "LTT", "clientMemberClass": "TEST", "clientMemberCode": "TEST1",
     "clientSubsystemCode": "SUB1", "serviceXRoadInstance": "LTT", "serviceMemberClass": "TEST",
     "serviceMemberCode": "TEST2", "serviceSubsystemCode": "SUB3", "serviceCode": "payloadgen",
     "messageId": "LTT-9f0bdaed-…", "xRequestId": "2c2fd07d-…", "responseSize": 1408, "succeeded": true, …}

The client's security server and the provider's (``Producer``) write one record each. Both belong to one call when they
agree in messageId, xRequestId, client and service, and came within ten minutes, as X-Road Metrics' corrector has it.
Old security servers log no xRequestId; then the order in time pairs the calls of one messageId.
(X-Road: Operational Monitoring Protocol, PR-OPMON; nordic-institute/X-Road-Metrics, corrector_module.)

Never read, as they may identify people or machines: representedParty…, restPath, faultString, all addresses. The
messageUserId, the personal code of whoever asked, is kept for one purpose: a keyed pseudonym.
"""

import unicodedata
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from cli.sources.ids import xroad_id
from ledger.encoding import INTEGER_MAX, check_json
from ledger.errors import MalformedError

FIELD_CHARACTERS_MAX = 255  # of any text in a record (schema of the operational monitoring daemon)
WINDOW_MS = 600_000  # between both sides of a call
TIME_MS_MAX = 253_402_300_799_999  # the end of the year 9999

_SIDES: Final = {"client": "client", "producer": "producer"}
_REST: Final = frozenset({"rest", "openapi3"})
_REST_PROTOCOL: Final = "1"  # X-Road's message protocol for REST; that for SOAP is 4.x

Side = Literal["client", "producer"]


class XRoadRecordError(MalformedError):
    """A record that is none of X-Road's operational monitoring, or says too little to be used."""

    code = "bad_xroad_record"
    hint = "export the records anew with all their fields (getSecurityServerOperationalData without outputSpec)"


class Party(NamedTuple):
    """A client or a provider: ``LTT/TEST/TEST1/SUB1``; a member acts without subsystem for management only."""

    instance: str
    member_class: str
    code: str
    subsystem: str | None

    @property
    def member(self) -> str:
        """The member without the subsystem."""
        return f"{self.instance}/{self.member_class}/{self.code}"

    def __str__(self) -> str:
        return self.member if self.subsystem is None else f"{self.member}/{self.subsystem}"


class Service(NamedTuple):
    """What was called: ``LTT/TEST/TEST2/SUB3/payloadgen.v1``."""

    provider: Party
    code: str
    version: str | None

    def __str__(self) -> str:
        return f"{self.provider}/{self.code}" + (f".{self.version}" if self.version is not None else "")


class CallKey(NamedTuple):
    """What both sides of a call agree in."""

    message_id: str | None
    request_id: str | None
    client: Party
    service: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One side's record of a call."""

    side: Side
    place: str  # ``opmon.json record 3``
    request_in: int  # ms since 1970: when this side's security server received the request
    response_out: int  # ms since 1970: when it sent the response out
    message_id: str | None
    request_id: str | None
    client: Party | None
    service: Service | None
    succeeded: bool
    fault: str | None = None
    status: int | None = None  # of HTTP, for REST
    size: int | None = None  # bytes of the response with its attachments
    issue: str | None = None
    protocol: str | None = None
    service_type: str | None = None
    user: str | None = field(default=None, repr=False)

    @property
    def key(self) -> CallKey | None:
        """What identifies the call, where the record says it."""
        if self.client is None or self.service is None or (self.message_id or self.request_id) is None:
            return None
        return CallKey(self.message_id, self.request_id, self.client, self.service)

    @property
    def is_rest(self) -> bool:
        """Whether it was a call of a REST service; else SOAP messages were exchanged."""
        if self.service_type is not None:
            return self.service_type.lower() in _REST
        return self.protocol == _REST_PROTOCOL

    @property
    def failure(self) -> str:
        """Why the call failed, in a few words without any address or name in them."""
        if self.fault is not None:
            return f"X-Road fault {self.fault}"
        return f"HTTP status {self.status}" if self.status is not None else "X-Road: failed without a fault code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as one or both sides have seen it."""

    key: CallKey
    number: int  # of the calls with this key, in the order of time: 0 but for ids that were used again
    client: Sighting | None
    producer: Sighting | None

    @property
    def seen(self) -> Sighting:
        """The side that is there, the producer's first: it says when the data left."""
        sighting = self.producer or self.client
        assert sighting is not None
        return sighting

    @property
    def data_left(self) -> bool:
        """Whether the provider's side says that the response left."""
        return self.producer is not None and self.producer.succeeded

    @property
    def failed(self) -> bool:
        """Whether nobody who is there says that data was passed."""
        return not any(side is not None and side.succeeded for side in (self.client, self.producer))

    @property
    def contradicted(self) -> bool:
        """Whether the client received what the producer says it never sent."""
        return self.client is not None and self.client.succeeded and self.producer is not None and not self.data_left

    @property
    def missing(self) -> Side | None:
        """The side whose record is not there."""
        if self.client is None:
            return "client"
        return "producer" if self.producer is None else None

    @property
    def share_id(self) -> str:
        """The id of the share that this call was."""
        key = self.key
        return xroad_id(key.message_id, key.request_id, str(key.client), str(key.service), number=self.number)


@dataclass(slots=True)
class Matched:
    """All records, put together."""

    calls: list[Call] = field(default_factory=list)  # in the order of time
    duplicates: list[Sighting] = field(default_factory=list)
    unidentified: list[Sighting] = field(default_factory=list)  # failed before anybody knew who called what


def parse_record(value: object, place: str) -> Sighting:
    """Return a record as one side's sighting of a call.

    Raises:
        XRoadRecordError: it is none, or a succeeded call that cannot be told from others; the field names it.
    """
    if not isinstance(value, dict):
        raise XRoadRecordError("a record is a JSON object", field=place)
    side = _SIDES.get((_text(value, "securityServerType", place) or "").lower())
    if side is None:
        raise XRoadRecordError("securityServerType is neither Client nor Producer", field=place)
    succeeded = value.get("succeeded")
    if not isinstance(succeeded, bool):
        raise XRoadRecordError("succeeded is neither true nor false", field=place)
    client = _party(value, "client", place)
    provider = _party(value, "service", place)
    code = _text(value, "serviceCode", place)
    service = Service(provider, code, _text(value, "serviceVersion", place)) if provider and code else None
    sighting = Sighting(
        side="client" if side == "client" else "producer",
        place=place,
        request_in=_time(value, "requestInTs", place),
        response_out=_time(value, "responseOutTs", place),
        message_id=_text(value, "messageId", place),
        request_id=_text(value, "xRequestId", place),
        client=client,
        service=service,
        succeeded=succeeded,
        fault=_text(value, "faultCode", place),
        status=_number(value, "statusCode", place),
        size=_size(value, place),
        issue=_text(value, "messageIssue", place),
        protocol=_text(value, "messageProtocolVersion", place),
        service_type=_text(value, "serviceType", place),
        user=_text(value, "messageUserId", place),
    )
    if succeeded and sighting.key is None:
        raise XRoadRecordError("a succeeded call without client, service, or message id", field=place)
    return sighting


def match(sightings: Iterable[Sighting]) -> Matched:
    """Put the two sides of each call together; the same input in any order gives the same calls."""
    result = Matched()
    groups: dict[CallKey, list[Sighting]] = defaultdict(list)
    for sighting in sorted(sightings, key=_order):
        key = sighting.key
        if key is None:
            result.unidentified.append(sighting)
        else:
            groups[key].append(sighting)
    pairs: list[tuple[Sighting | None, Sighting | None]] = []
    alone: dict[CallKey, list[Sighting]] = defaultdict(list)
    for key, group in groups.items():
        unique = _unique(group, result.duplicates, one_call=key.request_id is not None)
        found, rest = _pair(_of_side(unique, "client"), _of_side(unique, "producer"))
        pairs += found
        alone[key._replace(request_id=None)] += rest
    for rest in alone.values():
        pairs += _pair_across(rest)
    result.calls = _numbered(pairs)
    return result


def _unique(group: list[Sighting], duplicates: list[Sighting], *, one_call: bool) -> list[Sighting]:
    """Return a key's records without duplicates: those of the same moments or, with an xRequestId, within the window.

    Of records that differ the one counts by which data left, else the first.
    """
    kept: list[Sighting] = []
    moments: set[tuple[Side, int, int]] = set()
    times: dict[Side, list[int]] = {"client": [], "producer": []}
    for sighting in sorted(group, key=lambda one: (not one.succeeded, _order(one))):
        moment = (sighting.side, sighting.request_in, sighting.response_out)
        if moment in moments or (one_call and _is_near(times[sighting.side], sighting.request_in)):
            duplicates.append(sighting)
            continue
        moments.add(moment)
        insort(times[sighting.side], sighting.request_in)
        kept.append(sighting)
    return sorted(kept, key=_order)


def _is_near(times: list[int], time: int) -> bool:
    """Tell whether one of the times, which are sorted, lies within the window around ``time``."""
    after = bisect_right(times, time)
    return any(abs(other - time) <= WINDOW_MS for other in times[max(after - 1, 0) : after + 1])


_Pair = tuple[Sighting | None, Sighting | None]  # client, producer


def _pair(clients: list[Sighting], producers: list[Sighting]) -> tuple[list[_Pair], list[Sighting]]:
    """Return the pairs of two sides in the order of time, and who is left.

    A producer's record goes with the client's last one before it; clocks differ, so else with the first one after it.
    """
    waiting = [(one.request_in, number) for number, one in enumerate(clients)]
    pairs: list[_Pair] = []
    left: list[Sighting] = []
    for producer in producers:
        after = bisect_right(waiting, (producer.request_in, len(clients)))
        near = [
            place
            for place in (after - 1, after)
            if 0 <= place < len(waiting) and abs(waiting[place][0] - producer.request_in) <= WINDOW_MS
        ]
        if near:
            pairs.append((clients[waiting.pop(near[0])[1]], producer))
        else:
            left.append(producer)
    return pairs, [*(clients[number] for _, number in waiting), *left]


def _pair_across(rest: list[Sighting]) -> list[_Pair]:
    """Pair records of one messageId where only one of the two has an xRequestId; the others stay alone."""
    pairs: list[_Pair] = []
    clients, producers = _of_side(rest, "client"), _of_side(rest, "producer")
    for with_id in (True, False):
        ours = [one for one in clients if (one.request_id is not None) is with_id and one.message_id is not None]
        theirs = [one for one in producers if (one.request_id is not None) is not with_id]
        found, _ = _pair(sorted(ours, key=_order), sorted(theirs, key=_order))
        pairs += found
    paired = {id(one) for pair in pairs for one in pair}
    return pairs + [(one, None) if one.side == "client" else (None, one) for one in rest if id(one) not in paired]


def _numbered(pairs: list[_Pair]) -> list[Call]:
    """Return the pairs as calls in the order of time, those of one key numbered."""
    calls: list[Call] = []
    seen: Counter[CallKey] = Counter()
    for client, producer in sorted(pairs, key=lambda pair: _order(pair[1] or _some(pair[0]))):
        key = (producer or _some(client)).key
        assert key is not None
        calls.append(Call(key=key, number=seen[key], client=client, producer=producer))
        seen[key] += 1
    return calls


def _some(sighting: Sighting | None) -> Sighting:
    assert sighting is not None
    return sighting


def _of_side(sightings: Iterable[Sighting], side: Side) -> list[Sighting]:
    return [one for one in sightings if one.side == side]


def _order(sighting: Sighting) -> tuple[int, int, str, str, str]:
    """Return what sorts records, the same way whatever the order of the input; the ids come last and seldom decide."""
    ids = f"{sighting.message_id} {sighting.request_id}"
    return sighting.request_in, sighting.response_out, sighting.side, ids, sighting.place


# Members of a record. Null and the empty text say nothing, as databases export them.


def _text(record: dict[str, Any], name: str, place: str) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise XRoadRecordError(f"{name} is no text", field=place)
    plain = value.isascii() and value.isprintable()
    text = value.strip() if plain else unicodedata.normalize("NFC", value.strip())
    if len(text) > FIELD_CHARACTERS_MAX:
        raise XRoadRecordError(
            f"{name} has more than {FIELD_CHARACTERS_MAX} characters", field=place, limit=FIELD_CHARACTERS_MAX
        )
    if plain:
        return text or None
    try:
        check_json(text)
    except MalformedError as error:
        raise XRoadRecordError(f"{name}: {error.message}", field=place) from None
    return text or None


def _number(record: dict[str, Any], name: str, place: str, limit: int = INTEGER_MAX) -> int | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise XRoadRecordError(f"{name} is no whole number between 0 and {limit}", field=place)
    return value


def _time(record: dict[str, Any], name: str, place: str) -> int:
    value = _number(record, name, place, TIME_MS_MAX)
    if value is None:
        raise XRoadRecordError(f"{name} is missing", field=place)
    return value


def _size(record: dict[str, Any], place: str) -> int | None:
    """Return the bytes of the response; with attachments its MIME container is what was sent."""
    whole = _number(record, "responseMimeSize", place)
    if whole is not None and _number(record, "responseAttachmentCount", place):
        return whole
    return _number(record, "responseSize", place)


def _party(record: dict[str, Any], role: str, place: str) -> Party | None:
    """Return a client or provider; one that lacks a part of its identifier is nobody."""
    instance = _text(record, f"{role}XRoadInstance", place)
    member_class = _text(record, f"{role}MemberClass", place)
    code = _text(record, f"{role}MemberCode", place)
    subsystem = _text(record, f"{role}SubsystemCode", place)
    if instance is None or member_class is None or code is None:
        return None
    return Party(instance, member_class, code, subsystem)
