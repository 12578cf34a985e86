"""How the node is, what it counts, the network it acts under, and the interface's own documentation."""

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from node_helpers import NOW_MS, parties, share
from prometheus_client.parser import text_string_to_metric_families

from ledger.encoding import format_time
from ledger.errors import StoreFailedError
from ledger.versions import verify_chain
from node.api.docs import render
from node.errors import IntegrityAlarm
from node.service import software

if TYPE_CHECKING:
    from conftest import Office

A, B, C, D = parties(4)


# Health.


async def test_a_node_that_is_well_says_so(office: "Office") -> None:
    await office.confirm()
    answer = await office.nobody.get("/v1/health")
    assert answer.status_code == 200
    body = answer.json()
    recovery = body.pop("recovery")
    assert (recovery["done"], recovery["needed"], recovery["problem"]) == (True, 0, None)
    assert body == {
        "schema": "suyuan.health/1",
        "status": "ok",
        "log": A.origin,
        "software": software(),
        "network": {"name": "test", "version": 1, "fingerprint": office.town.law.fingerprint},
        "size": 1,
        "confirmed_size": 1,
        "freshness": {"vouched": format_time(NOW_MS // 1000 * 1000), "stale": []},
        "peers": {"known": 3, "reachable": 1},
        "witness": {"logs": 0, "memory": None, "known": 0, "reachable": 0, "witnessed_size": None},
        "started": format_time(NOW_MS),
        "time": format_time(NOW_MS),
        "alarms": [],
        "failure": None,
        "missing_keys": [],
        "next_log_key": None,
    }


async def test_logs_that_no_quorum_has_vouched_for_in_three_intervals_are_named(office: "Office") -> None:
    await office.confirm()
    then = format_time(NOW_MS // 1000 * 1000)
    office.town.clock.advance(3 * office.node.settings.refresh_interval_ms - 1000)
    for stale in ([], [{"log": party.origin, "vouched": then} for party in (A, B)]):
        told = (await office.nobody.get("/v1/health")).json()
        assert (told["status"], told["freshness"]) == ("ok", {"vouched": then, "stale": stale})
        office.town.clock.advance(1000)
    office.node.settings = office.node.settings.model_copy(update={"refresh_interval_ms": 0})
    assert (await office.nobody.get("/v1/health")).json()["freshness"]["stale"] == []


@pytest.mark.parametrize(("about", "status"), [(A.origin, 503), (B.origin, 200), ("keys/head", 503)])
async def test_an_alarm_is_told_and_503_unless_it_is_about_somebody_else(
    office: "Office", about: str, status: int
) -> None:
    office.node.alarms.take(IntegrityAlarm("this is a test", field=about))
    answer = await office.nobody.get("/v1/health")
    assert answer.status_code == status
    body = answer.json()
    assert (body["status"], body["alarms"]) == ("alarm", [{"log": about, "alarm": "this is a test"}])


async def test_a_store_that_has_gone_is_503(office: "Office") -> None:
    office.node.writer.failure = StoreFailedError("the disk is gone")
    answer = await office.nobody.get("/v1/health")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["failure"]) == ("failed", "the disk is gone")


# Metrics.


def values(answer: httpx.Response) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_metrics_say_what_has_happened(office: "Office") -> None:
    office.b.grow(4, A)
    await office.take()
    for number in (1, 2):
        await office.client.post("/v1/events", json=share(number, B))
    await office.confirm()
    await office.nobody.post("/witness/add-checkpoint", content=office.b.request(0))
    await office.nobody.post("/witness/add-checkpoint", content=office.b.request(3))
    await office.client.post("/v1/events", json=share(9, "nobody.test/log"))
    office.town.wire.cut.add("d2.test")
    answer = await office.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = values(answer)
    assert found["suyuan_events_recorded_total"] == 3
    assert found["suyuan_requests_refused_total{code=unknown_consumer}"] == 1
    assert found[f"suyuan_entries_mirrored_total{{log={B.origin}}}"] == 5
    assert found[f"suyuan_cosignatures_total{{log={B.origin}}}"] == 1
    assert found["suyuan_cosignatures_refused_total{status=409}"] == 1
    assert found[f"suyuan_log_size{{log={A.origin}}}"] == 3
    assert found[f"suyuan_log_confirmed{{log={B.origin}}}"] == 5
    assert found[f"suyuan_peer_up{{peer={B.origin}}}"] == 1
    assert found[f"suyuan_peer_up{{peer={C.origin}}}"] == 0
    assert found[f"suyuan_log_vouched_seconds{{log={B.origin}}}"] == NOW_MS // 1000
    assert found[f"suyuan_log_vouched_seconds{{log={C.origin}}}"] == 0
    assert found[f"suyuan_catch_up_missing{{log={B.origin}}}"] == 0
    assert found[f"suyuan_peer_lag{{peer={B.origin}}}"] == 0
    assert found[f"suyuan_peer_differs{{peer={B.origin}}}"] == 0
    assert found["suyuan_checkpoints_refreshed_total"] == 0
    assert found["suyuan_writes_waiting"] == 0
    assert found["suyuan_alarms_total"] == 0


@pytest.mark.parametrize(
    ("client", "status"),
    [(("127.0.0.1", 1), 200), (("::1", 1), 200), (("192.0.2.1", 1), 401), (None, 401), (("testclient", 1), 401)],
)
async def test_metrics_take_a_token_from_another_machine(
    office: "Office", client: tuple[str, int] | None, status: int
) -> None:
    route = office.town.wire.routes["d0.test"]
    assert isinstance(route, httpx.ASGITransport)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await route.app({**scope, "client": client}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=A.url) as visitor:
        assert (await visitor.get("/metrics")).status_code == status
        headers = office.client.headers
        assert (await visitor.get("/metrics", headers=headers)).status_code == 200


# The network and the peers.


async def test_the_network_document_leads_back_to_its_fingerprint(office: "Office") -> None:
    answer = await office.nobody.get("/v1/network")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert verify_chain(answer.content, office.town.law.fingerprint).members.keys() == {
        party.origin for party in parties(4)
    }


async def test_the_peers_are_shown_as_they_were_seen(office: "Office") -> None:
    await office.node.gossip.compare(office.node.peers[B.origin])
    office.town.wire.cut.add("d2.test")
    with pytest.raises(Exception, match="nobody answers"):
        await office.node.gossip.compare(office.node.peers[C.origin])
    answer = await office.client.get("/v1/peers")
    body = answer.json()
    assert (body["schema"], body["own"]) == ("suyuan.peers/2", A.origin)
    shown = {one["log"]: one for one in body["peers"]}
    assert shown[B.origin].pop("faults") == [  # asked at the start, what it remembers
        {"kind": "refused", "count": 1, "last": format_time(NOW_MS), "words": "status 404: nothing here"}
    ]
    assert shown[B.origin] == {
        "log": B.origin,
        "url": B.url,
        "reachable": True,
        "last_seen": format_time(NOW_MS),
        "last_error": None,
        "network_version": 1,
        "lag": 0,
        "logs": [
            {
                "log": B.origin,
                "size": 1,
                "confirmed_size": 1,
                "seen": format_time(NOW_MS),
                "lag": 0,
                "agreement": "same",
            }
        ],
    }
    assert {one["kind"]: one["count"] for one in shown[C.origin]["faults"]} == {"unreachable": 2}  # once at the start
    assert (body["network_version"], shown[C.origin]["network_version"]) == (1, None)
    assert body["logs"][1] == {"log": B.origin, "size": 1, "confirmed_size": 1}
    assert (body["time"], body["catching_up"]) == (format_time(NOW_MS), [])
    assert (shown[C.origin]["reachable"], shown[C.origin]["last_error"]) == (False, "nobody answers")
    assert (shown[D.origin]["reachable"], shown[D.origin]["last_seen"]) == (False, None)  # asked at the start


@pytest.mark.parametrize("path", ["/v1/health", "/v1/network", "/v1/peers", "/v1/logs"])
async def test_unknown_parameters_are_refused(office: "Office", path: str) -> None:
    answer = await office.client.get(f"{path}?verbose=1")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "unknown_member", "query")
    twice = await office.client.get(f"{path}?a=1&a=2")
    assert twice.status_code == 422


# Paths and methods.


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/events/", "/v2/logs", "/logs", "/V1/health", "//v1/health"])
async def test_an_unknown_path_is_404_in_the_same_shape(office: "Office", path: str) -> None:
    answer = await office.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["field"], problem["limit"]) == ("not_found", None, None)
    assert "/docs" in problem["hint"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/events", "POST"),
        ("GET", "/v1/events/batch", None),
        ("POST", "/v1/health", "GET"),
        ("PUT", "/witness/add-checkpoint", "POST"),
        ("PATCH", "/v1/logs", "GET"),
    ],
)
async def test_an_unknown_method_is_405_in_the_same_shape(
    office: "Office", method: str, path: str, allowed: str | None
) -> None:
    answer = await office.client.request(method, path)
    if allowed is None:  # the path is that of an event, too
        assert (answer.status_code, answer.json()["field"]) == (422, "event_id")
        return
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == allowed
    assert answer.json()["code"] == "method_not_allowed"


# Documentation.


class Links(HTMLParser):
    """What a page makes a browser fetch or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.followed: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in {"src", "srcset", "data", "action"} or (name == "href" and tag != "a"):
                self.fetched.append(f"{tag} {value}")
            elif name == "href" and value:
                self.followed.append(value)


async def test_the_documentation_needs_nothing_from_elsewhere(office: "Office") -> None:
    answer = await office.nobody.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    links = Links()
    links.feed(answer.text)
    assert links.fetched == []
    assert "<script" not in answer.text
    assert not re.search(r"(?:https?:)?//[a-z]", answer.text.replace("http://127", ""))
    assert {link for link in links.followed if not link.startswith("#")} == {"openapi.json"}
    assert {link.removeprefix("#") for link in links.followed if link.startswith("#")} <= links.ids


async def test_the_documentation_shows_every_path_and_every_member(office: "Office") -> None:
    page = (await office.nobody.get("/docs")).text
    document = (await office.nobody.get("/openapi.json")).json()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    for member in document["components"]["schemas"]["Share"]["properties"]:
        assert f"<code>{member}</code>" in page


def test_the_documentation_escapes_what_it_shows() -> None:
    hostile = "<script>alert(1)</script>"
    page = render(
        {
            "info": {"title": hostile, "description": hostile},
            "paths": {
                hostile: {
                    "get": {
                        "description": hostile,
                        "parameters": [
                            {"name": hostile, "in": hostile, "description": hostile, "schema": {"enum": [hostile]}}
                        ],
                        "requestBody": {"content": {hostile: {"schema": {"items": {"const": hostile}, "maxItems": 3}}}},
                    }
                }
            },
            "components": {
                "schemas": {
                    hostile: {
                        "description": hostile,
                        "properties": {hostile: {"anyOf": [{"$ref": f"#/{hostile}"}, {"type": hostile}]}},
                        "required": [hostile],
                    }
                }
            },
        }
    )
    assert "<script" not in page
