"""A client of a node's HTTP interface: for the command line, and for a department's own programs.

    with Client("http://127.0.0.1:8300", token="sy_…") as client:
        recorded = client.post_event({"type": "share", …})
        trace = client.trace("9f2c…")

    NodeError
    └── ClientError
        ├── UnreachableError   unreachable: no answer, so nobody knows whether the request was carried out
        ├── BadAnswerError     bad_answer: an answer that the interface does not have, or too long a one
        └── NodeProblem        the node's own refusal (RFC 9457): its code, field, limit, hint and status

An answer is read up to a limit, comes uncompressed, and no redirect is followed, so the token goes nowhere else. What
the answers say is the node's word; whoever wants to know verifies proofs and evidence with :mod:`ledger.evidence`.
"""

import ipaddress
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from pydantic import ValidationError

from ledger.encoding import JsonObject, encode_base64
from ledger.errors import LedgerError
from ledger.event import EntryRef
from ledger.evidence import EVIDENCE_BYTES_MAX
from ledger.manifest import Manifest
from ledger.network import DOCUMENT_BYTES_MAX
from ledger.proof import PROOF_BYTES_MAX
from ledger.versions import VERSIONS_MAX
from node.errors import NodeError
from node.exchange import Exchange, HttpExchange, Request, split_url
from node.layout import origin_hash

TIMEOUT_SECONDS = 40.0  # a node lets a caller wait 30 seconds for a confirmation
CONNECT_SECONDS_MAX = 10.0
JSON_BYTES_MAX = 16 * 1024 * 1024  # 2,048 entries of 8 KB, or a history of 2,000 shares
NETWORK_BYTES_MAX = min(DOCUMENT_BYTES_MAX * VERSIONS_MAX, 256 * 1024 * 1024)
TEXT_BYTES_MAX = 4 * 1024 * 1024  # metrics of 5,000 logs; a tile has 8 KB, a bundle 16 MB and its own limit
BUNDLE_BYTES_MAX = 256 * 65_537
PROBLEM_CHARACTERS_MAX = 2000
_JSON = "application/json"
_PROBLEM = "application/problem+json"
_LOG_MEMBERS = frozenset({"log", "size", "confirmed_size", "cosigned_by", "needed", "time", "vouched", "alarm"})
_CHECKPOINT_MEMBERS = frozenset({"size", "root", "vouched", "cosigned_by", "needed", "note"})
_PROOF_MEMBERS = frozenset({"id", "log", "kind", "words", "size", "until", "bytes", "standing"})
UNTRUSTED_HINT = (
    "give the authority of its certificate with --ca, or as peer_ca in the settings; the certificate must be valid for "
    "the host name that is asked"
)
_PEER_MEMBERS = frozenset(
    {"log", "url", "reachable", "last_seen", "last_error", "network_version", "lag", "faults", "logs"}
)
_PEER_LOG_MEMBERS = frozenset({"log", "size", "confirmed_size", "seen", "lag", "agreement"})


class ClientError(NodeError):
    """Base of what can go wrong while asking a node."""

    code = "client_error"


class UnreachableError(ClientError):
    """No answer: refused, timed out, broken off."""

    code = "unreachable"
    hint = "is the node running, and is this its address? suyuan run starts it, suyuan doctor looks closer"


class BadAnswerError(ClientError):
    """An answer that is not what a node says."""

    code = "bad_answer"
    hint = "is this a node of Suyuan, of this version, without something in between that changes answers?"


class NodeProblem(ClientError):  # noqa: N818 - RFC 9457 calls it a problem
    """What the node has refused, and why."""

    code: str  # type: ignore[misc] # the node's, one by one

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        limit = document.get("limit")
        field = document.get("field")
        super().__init__(
            str(document.get("detail") or document.get("title") or f"status {status}")[:PROBLEM_CHARACTERS_MAX],
            limit=limit if isinstance(limit, int) else None,
            hint=str(document.get("hint") or "")[:PROBLEM_CHARACTERS_MAX],
        )
        self.field = str(field)[:PROBLEM_CHARACTERS_MAX] if field is not None else None
        self.status = status
        self.code = str(document.get("code") or f"status_{status}")[:PROBLEM_CHARACTERS_MAX]

    def __str__(self) -> str:
        return self.message  # the node has put the field's name into it


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an event stands, as the node answers a submission."""

    event_id: str
    entry: EntryRef
    time: str
    state: str  # recorded or confirmed

    def to_json(self) -> JsonObject:
        """Return the node's answer."""
        return {"event_id": self.event_id, "entry": self.entry.model_dump(), "time": self.time, "state": self.state}


@dataclass(frozen=True, slots=True)
class Adopted:
    """Under which version of the network document a node acts now, and acted before."""

    version: int
    was: int


class Client:
    """One node's interface; ``with`` closes the connections."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        verify: ssl.SSLContext | None = None,
        exchange: Exchange | None = None,
        other_name: Callable[[], str | None] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "suyuan"}
        try:
            if token is not None:
                self._headers["Authorization"] = _bearer(token)
            self._exchange = exchange or HttpExchange(
                self.url,
                timeout=timeout,
                connect_timeout=min(timeout, CONNECT_SECONDS_MAX),
                context=verify or _trust(self.url),
                direct=is_loopback(self.url),
                other_name=other_name,
            )
        except ValueError as error:
            raise BadUrlError(f"{self.url}: {error}", field="url") from None

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    # Events.

    def post_event(self, event: JsonObject, *, wait: str = "recorded") -> Recorded:
        """Record an event; ``wait`` is ``recorded`` or ``confirmed``.

        Raises:
            ClientError: it was not recorded, or nobody knows.
        """
        answer = self._json("POST", f"/v1/events?wait={wait}", body=_encoded(event), media=_JSON)
        return _recorded(answer)

    def post_events(self, events: Sequence[JsonObject], *, wait: str = "recorded") -> list[Recorded]:
        """Record up to 1,000 events, all or none.

        Raises:
            ClientError: as :meth:`post_event`.
        """
        body = _encoded({"events": list(events)})
        answer = self._json("POST", f"/v1/events/batch?wait={wait}", body=body, media=_JSON)
        return [_recorded(one) for one in _objects(answer, "events")]

    def announce_key(self, event: JsonObject) -> Recorded:
        """Have the node record which key the department will use next (``key.rotate``); it takes the role admin.

        Raises:
            ClientError: it was not recorded, or nobody knows.
        """
        return _recorded(self._json("POST", "/v1/keys", body=_encoded(event), media=_JSON))

    def event(self, event_id: str, log: str | None = None) -> JsonObject:
        """Return the entry of an event, in ``log`` if that is given, as the node answers."""
        return self._json("GET", f"/v1/events/{event_id}" + (f"?log={quote(log, safe='')}" if log is not None else ""))

    def post_manifest(self, manifest: Manifest) -> JsonObject:
        """Have the node keep a manifest; return its root and count.

        Raises:
            BadAnswerError: the node has kept another one.
        """
        answer = self._json("POST", "/v1/manifests", body=manifest.encode(), media="text/plain; charset=utf-8")
        if answer.get("root") != encode_base64(manifest.root):
            raise BadAnswerError("the node has kept another manifest than it was given", field="root")
        return answer

    # Records.

    def trace(self, record: str) -> JsonObject:
        """Return a record's history as the node tells it (schema suyuan.trace/1)."""
        return self._json("GET", f"/v1/records/{record}/trace", schema="suyuan.trace/1")

    def evidence(self, record: str) -> bytes:
        """Return a record's history as evidence, not verified yet."""
        return self._call("GET", f"/v1/records/{record}/evidence", EVIDENCE_BYTES_MAX)

    def proof(self, log: str, index: int, *, cosigners: str = "members") -> bytes:
        """Return the proof of one entry, not verified yet; with all ``cosigners``, under what satisfies a policy."""
        query = {"log": log, "index": str(index)}
        if cosigners != "members":
            query["cosigners"] = cosigners
        return self._call("GET", "/v1/proof", PROOF_BYTES_MAX, query=query)

    def entry(self, log: str, index: int) -> JsonObject:
        """Return one entry, as the node answers."""
        return self._json("GET", "/v1/entry", query={"log": log, "index": str(index)})

    # Logs.

    def logs(self) -> JsonObject:
        """Return the logs that the node holds (schema suyuan.logs/1)."""
        answer = self._json("GET", "/v1/logs", schema="suyuan.logs/1")
        _expect_members(_objects(answer, "logs"), _LOG_MEMBERS)
        return answer

    def entries(self, log: str, *, start: int = 0, limit: int = 100) -> JsonObject:
        """Return entries of a log (schema suyuan.entries/1)."""
        path = f"/v1/logs/{origin_hash(log)}/entries"
        return self._json("GET", path, query={"start": str(start), "limit": str(limit)}, schema="suyuan.entries/1")

    def checkpoint(self, log: str) -> bytes:
        """Return the newest checkpoint of a log, not verified yet."""
        return self._call("GET", f"/logs/{origin_hash(log)}/checkpoint", TEXT_BYTES_MAX)

    def checkpoints(self, log: str) -> JsonObject:
        """Return the checkpoints that the node keeps of a log (schema suyuan.checkpoints/1), not verified yet."""
        answer = self._json("GET", f"/v1/logs/{origin_hash(log)}/checkpoints", schema="suyuan.checkpoints/1")
        _expect_members(_objects(answer, "checkpoints"), _CHECKPOINT_MEMBERS)
        _expect_members(_objects(answer, "versions"), frozenset({"version", "from"}))
        return answer

    def tile(self, log: str, path: str) -> bytes:
        """Return a tile or entry bundle of a log by its path (``tile/0/000``), not verified yet."""
        return self._call("GET", f"/logs/{origin_hash(log)}/{path}", BUNDLE_BYTES_MAX)

    def equivocations(self) -> JsonObject:
        """Return which proofs that a log has told two stories the node keeps (schema suyuan.equivocations/1)."""
        answer = self._json("GET", "/v1/equivocations", schema="suyuan.equivocations/1")
        _expect_members(_objects(answer, "equivocations"), _PROOF_MEMBERS)
        return answer

    def equivocation(self, name: str) -> bytes:
        """Return one of these proofs by its id, not judged yet.

        Raises:
            BadAnswerError: other bytes than those of that id.
        """
        from ledger.equivocation import PROOF_FILE_BYTES_MAX  # noqa: PLC0415 - its models take a while

        data = self._call("GET", f"/v1/equivocations/{name}", PROOF_FILE_BYTES_MAX)
        if sha256(data).hexdigest() != name:
            raise BadAnswerError("the proof has another hash than it is listed under", field="id")
        return data

    # The node.

    def health(self) -> JsonObject:
        """Return how the node is (schema suyuan.health/1), also when it is not well."""
        status, body, media = self._send("GET", "/v1/health", JSON_BYTES_MAX)
        if status != HTTPStatus.SERVICE_UNAVAILABLE or media != _JSON:
            _expect_success(status, body, media)
        return _parse(body, "suyuan.health/1")

    def network(self) -> bytes:
        """Return the network document, all its versions, not verified yet."""
        return self._call("GET", "/v1/network", NETWORK_BYTES_MAX)

    def adopt(self, document: bytes) -> Adopted:
        """Have the node act under the newest version of a network document; the token must be an admin's.

        Raises:
            NodeProblem: it does not continue the node's own, or too few governors have signed it.
            ClientError: as :meth:`post_event`.
        """
        answer = self._json(
            "POST", "/v1/network", body=document, media="text/plain; charset=utf-8", schema="suyuan.adopted/1"
        )
        version, was = answer.get("version"), answer.get("was")
        if not isinstance(version, int) or not isinstance(was, int):
            raise BadAnswerError("the answer does not say which version the node acts under", field="version")
        return Adopted(version, was)

    def peers(self) -> JsonObject:
        """Return what the node sees of its peers (schema suyuan.peers/2)."""
        answer = self._json("GET", "/v1/peers", schema="suyuan.peers/2")
        _expect_members([answer], frozenset({"own", "time", "network_version"}))
        for name in ("logs", "catching_up"):
            _expect_members(_objects(answer, name), frozenset({"log"}))
        for peer in _objects(answer, "peers"):
            _expect_members([peer], _PEER_MEMBERS)
            _expect_members(_objects(peer, "logs"), _PEER_LOG_MEMBERS)
            _expect_members(_objects(peer, "faults"), frozenset({"kind", "count", "last", "words"}))
        return answer

    def witness(self) -> JsonObject:
        """Return which foreign logs the node witnesses, and who witnesses its own (schema suyuan.witness/1)."""
        answer = self._json("GET", "/v1/witness", schema="suyuan.witness/1")
        _expect_members(_objects(answer, "logs"), frozenset({"log", "size", "contradiction"}))
        _expect_members(_objects(answer, "witnesses"), frozenset({"name", "url", "reachable", "last_error", "size"}))
        _expect_members([answer], frozenset({"key", "memory", "policy", "witnessed_size"}))
        return answer

    def metrics(self) -> str:
        """Return the metrics in Prometheus's text format."""
        return self._call("GET", "/metrics", TEXT_BYTES_MAX).decode("utf-8", "replace")

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        media: str | None = None,
        schema: str | None = None,
    ) -> JsonObject:
        return _parse(self._call(method, path, JSON_BYTES_MAX, query=query, body=body, media=media), schema)

    def _call(
        self,
        method: str,
        path: str,
        bytes_max: int,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        media: str | None = None,
    ) -> bytes:
        status, answer, kind = self._send(method, path, bytes_max, query=query, body=body, media=media)
        _expect_success(status, answer, kind)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        bytes_max: int,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        media: str | None = None,
    ) -> tuple[int, bytes, str]:
        """Return status, body and media type of the answer."""
        headers = {**self._headers, "Content-Type": media} if media is not None else self._headers
        target = f"{path}?{urlencode(query, quote_via=quote, safe='')}" if query is not None else path
        answer = bytearray()
        try:
            response = self._exchange.send(Request(method, target, headers, body))
            for piece in response.pieces:
                answer += piece
                if len(answer) > bytes_max:
                    self._exchange.close()
                    raise BadAnswerError("the answer is too long", limit=bytes_max)
        except (HTTPException, OSError, ValueError) as error:
            hint = UNTRUSTED_HINT if "CERTIFICATE_VERIFY_FAILED" in str(error) else None
            raise UnreachableError(f"{self.url} did not answer: {error or type(error).__name__}", hint=hint) from None
        return response.status, bytes(answer), response.media.partition(";")[0].strip().lower()


class BadUrlError(ClientError):
    """An address that no request can be sent to."""

    code = "bad_url"
    hint = "write the address as http://127.0.0.1:8300 or https://node.police.ordos.example"


def is_loopback(url: str) -> bool:
    """Tell whether an address is of this machine: then no proxy stands between."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bearer(token: str) -> str:
    if not (token.isascii() and token.isprintable()):  # whatever refuses it later shows it
        raise ValueError("the token has characters that cannot be sent")
    return f"Bearer {token}"


def _trust(url: str) -> ssl.SSLContext | None:
    """Return whose certificates count: those that the system trusts; with plain HTTP they are not even loaded."""
    return ssl.create_default_context() if split_url(url).scheme == "https" else None


def _encoded(value: JsonObject) -> bytes:
    """Return a value as JSON, in the order in which a node reads events most quickly: that of canonical JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()


def _expect_success(status: int, body: bytes, media: str) -> None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    document: Any = None
    if media == _PROBLEM:
        try:
            document = json.loads(body)
        except ValueError:
            document = None
    if not isinstance(document, dict):
        document = {"detail": f"status {status}: {body[:200].decode('utf-8', 'replace')}"}
    raise NodeProblem(status, document)


def _parse(body: bytes, schema: str | None = None) -> JsonObject:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswerError("the answer is not JSON", field="body") from None
    if not isinstance(value, dict):
        raise BadAnswerError("the answer is not a JSON object", field="body")
    if schema is not None and value.get("schema") != schema:
        raise BadAnswerError(f"the answer is not of schema {schema}", field="schema")
    return value


def _objects(answer: JsonObject, member: str) -> list[JsonObject]:
    items = answer.get(member)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadAnswerError("the answer has another form", field=member)
    return items


def _expect_members(items: Sequence[JsonObject], names: frozenset[str]) -> None:
    for item in items:
        if missing := names - item.keys():
            raise BadAnswerError("the answer lacks a member", field=min(missing))


def _recorded(answer: JsonObject) -> Recorded:
    try:
        return Recorded(str(answer["event_id"]), parse_ref(answer["entry"]), str(answer["time"]), str(answer["state"]))
    except (KeyError, TypeError):
        raise BadAnswerError("the answer does not say where the event stands", field="body") from None


def parse_ref(value: Any) -> EntryRef:
    """Return an entry reference from a node's answer.

    Raises:
        BadAnswerError: it is none.
    """
    try:
        return EntryRef.model_validate(value)
    except (ValidationError, LedgerError):
        raise BadAnswerError("no entry reference", field="entry") from None
