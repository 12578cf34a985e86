"""The scene that ``suyuan demo`` plays: four departments, five transfers, one of them refused, one passed on.

    police ──► tax                  household register, for a tax deduction
    police ──► medical insurance    household register, for enrolment
    medical insurance ──► civil affairs     passed on, for medical assistance
    tax ──► civil affairs           an income check whose file arrives damaged: refused

Everything goes the way real transfers go: the provider's system posts the share to its own node, the data travels by
another way, the consumer's system compares the digest of what has arrived and posts the receipt to its own node.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from cli.demo.cluster import Cluster
from cli.demo.network import DemoNetwork, Plan
from ledger.encoding import encode_base64, format_time
from ledger.record import record_ref
from node.clock import SystemClock
from node.errors import NodeError
from node.keys import read_record_key

RESIDENT = "150600199001011234"  # as the police know the resident; it never leaves their node
SCHEME = "resident-id"
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05

PLANS = (
    Plan(id="police", name_zh="公安局", name_en="Police"),
    Plan(id="tax", name_zh="税务局", name_en="Tax"),
    Plan(id="medical-insurance", name_zh="医疗保障局", name_en="Medical Insurance"),
    Plan(id="civil-affairs", name_zh="民政局", name_en="Civil Affairs", roles=("department", "authority")),
)


class SceneError(NodeError):
    """The scene could not be played to its end."""

    code = "scene_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One transfer of the scene."""

    provider: str
    consumer: str
    resource: str
    fields: tuple[str, ...]
    purpose: str
    purpose_zh: str
    legal_basis: str
    method: str
    parent: int | None = None  # number of the act by which the provider received the record
    damaged: bool = False  # the file does not arrive as it was sent


ACTS = (
    Act(
        provider="police",
        consumer="tax",
        resource="household-register",
        fields=("name", "members", "address"),
        purpose="tax deduction for children's education",
        purpose_zh="子女教育专项附加扣除",
        legal_basis="个人所得税法第六条 (Individual Income Tax Law, art. 6)",
        method="api",
    ),
    Act(
        provider="police",
        consumer="medical-insurance",
        resource="household-register",
        fields=("name", "members", "address"),
        purpose="enrolment in resident medical insurance",
        purpose_zh="城乡居民医保参保登记",
        legal_basis="社会保险法第五十七条 (Social Insurance Law, art. 57)",
        method="database",
    ),
    Act(
        provider="medical-insurance",
        consumer="civil-affairs",
        resource="insured-persons",
        fields=("name", "insured_since"),
        purpose="medical assistance for a family in need",
        purpose_zh="困难家庭医疗救助",
        legal_basis="社会救助暂行办法第五十八条 (Interim Measures for Social Assistance, art. 58)",
        method="api",
        parent=1,
    ),
    Act(
        provider="tax",
        consumer="civil-affairs",
        resource="income-check",
        fields=("income_below_limit",),
        purpose="income check for social assistance",
        purpose_zh="社会救助家庭收入核对",
        legal_basis="社会救助暂行办法第五十八条 (Interim Measures for Social Assistance, art. 58)",
        method="file",
        parent=0,
        damaged=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Played:
    """An act that has been played."""

    act: Act
    share: dict[str, Any]  # entry reference
    receipt: dict[str, Any]
    outcome: str


class Scene:
    """Plays the acts through a running network."""

    def __init__(self, network: DemoNetwork, cluster: Cluster) -> None:
        self._network = network
        self._cluster = cluster
        key = read_record_key(network.departments["police"].home.keys)
        self.record = record_ref(key, RESIDENT, scheme=SCHEME)
        self.played: list[Played] = []

    async def play(self) -> AsyncIterator[Played]:
        """Play one act after the other.

        Raises:
            SceneError: a node refuses, or does not answer in time.
        """
        for act in ACTS:
            payload = json.dumps({"record": self.record[:8], "fields": act.fields}).encode()
            share = await self._post(act.provider, self._share(act, payload))
            await self._mirrored(act.consumer, share)
            arrived = payload[:-1] if act.damaged else payload
            receipt, outcome = await self._answer(act, share, sent=_digest(payload), arrived=arrived)
            self.played.append(Played(act, share, receipt, outcome))
            yield self.played[-1]

    async def confirmed(self) -> dict[str, int]:
        """Return when every node knows every log to be confirmed: the size of each log by its origin.

        Raises:
            SceneError: it takes too long.
        """
        async with _deadline("the quorum"):
            while True:
                views = await asyncio.gather(*(self._logs(name) for name in self._network.departments))
                sizes = {one["log"]: one["size"] for view in views for one in view if one["own"]}
                if all(one["confirmed_size"] >= sizes[one["log"]] for view in views for one in view):
                    return sizes
                await asyncio.sleep(POLL_SECONDS)

    def _share(self, act: Act, payload: bytes) -> dict[str, Any]:
        value: dict[str, Any] = {
            **_frame("share"),
            "consumer": self._network.departments[act.consumer].origin,
            "resource": act.resource,
            "records": [self.record],
            "fields": list(act.fields),
            "purpose": act.purpose,
            "legal_basis": act.legal_basis,
            "method": act.method,
            "rows": 1,
            "bytes": len(payload),
            "payload_digest": _digest(payload),
        }
        if act.parent is not None:
            value["parents"] = [self.played[act.parent].share]
        return value

    async def _answer(
        self, act: Act, share: dict[str, Any], *, sent: str, arrived: bytes
    ) -> tuple[dict[str, Any], str]:
        digest = _digest(arrived)
        value = {**_frame("receipt"), "share": share, "payload_digest": digest, "bytes": len(arrived)}
        if digest == sent:
            value |= {"outcome": "accepted"}
        else:
            value |= {"outcome": "rejected", "reason": "the file does not have the digest that the share states"}
        return await self._post(act.consumer, value), value["outcome"]

    async def _post(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        answer = await self._cluster.clients[name].post("/v1/events", json=value)
        if answer.status_code != httpx.codes.CREATED:
            raise SceneError(f"the node of {name} refuses: {answer.text[:500]}")
        entry: dict[str, Any] = answer.json()["entry"]
        return entry

    async def _mirrored(self, name: str, share: dict[str, Any]) -> None:
        async with _deadline(f"the node of {name}"):
            while True:
                sizes = {one["log"]: one["size"] for one in await self._logs(name)}
                if sizes[share["log"]] > share["index"]:
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def _logs(self, name: str) -> list[dict[str, Any]]:
        answer = await self._cluster.clients[name].get("/v1/logs")
        logs: list[dict[str, Any]] = answer.raise_for_status().json()["logs"]
        return logs


class _deadline:  # noqa: N801 - used as a statement, like asyncio.timeout
    """A time limit whose passing says what was waited for."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._timeout = asyncio.timeout(WAIT_SECONDS_MAX)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise SceneError(f"{self._what} has not answered in {WAIT_SECONDS_MAX:.0f} s") from None


def _frame(kind: str) -> dict[str, Any]:
    return {"type": kind, "id": str(uuid.uuid4()), "occurred_at": format_time(SystemClock().now_ms())}


def _digest(data: bytes) -> str:
    return f"sha-256:{encode_base64(hashlib.sha256(data).digest())}"
