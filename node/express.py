"""The express lane: single events, which come most often, are recorded without the web framework.

A request takes the lane if it is ``POST /v1/events`` in the way that clients write it, short, and here as a whole. Then
what uvicorn's parser has found goes straight to recording, and the answer straight to the socket: no task, no router,
no stream of body and response, which together take several times as long as recording the event does. Every other
request goes through the application, and gets the same answers.
"""

import asyncio
from functools import partial

import structlog
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from ledger.errors import LedgerError
from node.api import events, problems
from node.bounded import BoundedHttp
from node.service import Node
from node.submission import Recorded

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 60_000  # below uvicorn's mark for stopping to read; longer events go through the application
_URLS = frozenset((b"/v1/events", b"/v1/events?wait=recorded"))
_READ = frozenset((b"authorization", b"content-length", b"content-type"))
_UNUSUAL = frozenset((b"transfer-encoding", b"expect", b"upgrade"))


class _Cycle(RequestResponseCycle):
    """Stands for an answer that is under way: uvicorn queues behind it what is pipelined on its connection."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.message_event = self  # type: ignore[assignment]  # nobody waits for parts of the request
        self.keep_alive = keep_alive
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    def set(self) -> None:
        """Do nothing: it is told of the end of the request, and of the connection."""


class ExpressHttp(BoundedHttp):
    """The protocol of a node's web server."""

    node: Node
    _body: bytearray | None = None  # of a request that takes the lane
    _fields: dict[bytes, bytes]  # of its head, those that are read

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; a request whose rest is still to come goes through the application."""
        super().data_received(data)
        if self._body is not None:
            body, self._body = self._body, None
            if not self.transport.is_closing():
                super().begin_request()
                super().on_body(bytes(body))

    def begin_request(self) -> None:
        """Choose a request's way."""
        fields = self._express_fields()
        if fields is None:
            super().begin_request()
        else:
            self._fields, self._body = fields, bytearray()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Record the event of a request that takes the lane."""
        if self._body is None:
            super().on_message_complete()
            return
        body, self._body = bytes(self._body), None
        self.cycle = cycle = _Cycle(keep_alive=self.parser.should_keep_alive())
        super().on_message_complete()
        try:
            recording = events.record(self.node, self._field(b"authorization"), self._field(b"content-type"), body)
        except Exception as error:  # noqa: BLE001 - the parser would make a 400 of it
            self.loop.call_soon(self._answer, cycle, self._refusal(error))  # what is pipelined takes turns with others
        else:
            recording.add_done_callback(partial(self._recorded, cycle))

    def _express_fields(self) -> dict[bytes, bytes] | None:
        """Return the fields of the head that are read; None if the request is for the application."""
        free = self.cycle is None or self.cycle.response_complete
        crowded = self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency
        if self.url not in _URLS or not free or crowded or self.flow.write_paused:
            return None
        if self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        fields: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if name in _UNUSUAL or name in fields:
                return None
            if name in _READ:
                fields[name] = value
        length = fields.get(b"content-length", b"")
        return fields if length.isdigit() and len(length) < 6 and int(length) <= BODY_BYTES_MAX else None  # noqa: PLR2004

    def _field(self, name: bytes) -> str | None:
        value = self._fields.get(name)
        return value.decode("latin-1") if value is not None else None

    def _recorded(self, cycle: _Cycle, recording: asyncio.Future[list[Recorded]]) -> None:
        if recording.cancelled():
            self.transport.abort()
            return
        error = recording.exception()
        if error is not None:
            self._answer(cycle, self._refusal(error))
            return
        [recorded] = recording.result()
        self._answer(cycle, events.answer(recorded.to_text(self.node.state_of(recorded))))

    def _refusal(self, error: BaseException) -> Response:
        if isinstance(error, LedgerError):
            return problems.refuse(self.node, error)
        log.error("a request met a fault of the software", method="POST", path="/v1/events", exc_info=error)
        return problems.refuse_for_bug(self.node)

    def _answer(self, cycle: _Cycle, response: Response) -> None:
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        parts = [STATUS_LINE[response.status_code]]
        for name, value in (*self.server_state.default_headers, *response.raw_headers):
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        self.transport.write(b"".join((*parts, response.body)))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def express_of(node: Node) -> type[ExpressHttp]:
    """Return the protocol for the web server of ``node``."""

    class Http(ExpressHttp):
        pass

    Http.node = node
    return Http
