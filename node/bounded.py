"""uvicorn's HTTP protocol, with bounds on what anybody who reaches the port can make a node hold."""

import asyncio
import sys

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A quarter of them, so that no single stranger fills a node. A reverse proxy, or the peers behind one gateway, are one
# address with many connections: fifty with four each still fit. The others are closed at once.
CONNECTIONS_PER_ADDRESS_MAX = 256
HEAD_BYTES_MAX = 64 * 1024  # of a request: a signed one has 2 KB, and the parser itself knows no limit
FIELD_BYTES = 32  # what a field counts for beside its name and value, as in RFC 9113 section 6.5.2: empty ones cost too
# For a request's head, or for the rest of a request that is answered already: 64 KB take half a second at 1 Mbit/s. The
# body that a handler waits for has more, node.api.bodies.BODY_SECONDS_MAX.
REQUEST_SECONDS_MAX = 30.0
# In which somebody who reads an answer takes a part that can be seen: a third of the kernel's buffer of up to 4 MB.
STALL_SECONDS_MAX = 120.0


class HeadTooLongError(Exception):
    """Stops the parser, which makes a 400 of it."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on what anybody who reaches the port can make a node hold.

    uvicorn itself waits for ever for a request, for the rest of one that is answered, and for somebody to read an
    answer; and it keeps heads and trailers of any length.
    """

    is_between_requests = True  # as far as anything has arrived
    _in_head = True  # of a request, or before one
    _fields_bytes = 0  # of this request's head and trailers
    _framing_bytes = 0  # received since the last part of a body: a head, trailers or a chunk's size without end
    _unsent_bytes = sys.maxsize  # when the answer's reader was last looked at
    _deadline: asyncio.TimerHandle | None = None  # there is one while a request, or the rest of one, is waited for
    _glance: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, unless its address has enough of them."""
        super().connection_made(transport)
        if self._is_one_too_many():
            transport.abort()  # without an answer: over TLS, even a farewell would wait for the other side
            return
        self._await_request()
        self._glance = self.loop.call_later(STALL_SECONDS_MAX, self._look_at_reader)

    def _is_one_too_many(self) -> bool:
        if self.client is None:
            return False
        others = (other.client for other in self.connections if isinstance(other, BoundedHttp))
        return sum(other is not None and other[0] == self.client[0] for other in others) > CONNECTIONS_PER_ADDRESS_MAX

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        for timer in (self._deadline, self._glance):
            if timer is not None:
                timer.cancel()
        self._deadline = self._glance = None
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(REQUEST_SECONDS_MAX, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            self._await_request()  # not yet: the handler has a deadline of its own, and an answer to give

    def _look_at_reader(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if 0 < self._unsent_bytes <= unsent:
            self.transport.abort()
            return
        self._unsent_bytes = unsent
        self._glance = self.loop.call_later(STALL_SECONDS_MAX, self._look_at_reader)

    def resume_writing(self) -> None:
        """Note that the answer is being read."""
        self._unsent_bytes = sys.maxsize
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, unless a head or trailers are too long already."""
        if self._framing_bytes > HEAD_BYTES_MAX:
            self.send_400_response("The head of the request is too long.")
            return
        if self._deadline is None:  # whatever it is, it has stopped uvicorn's keep-alive timer
            self._await_request()
        self._framing_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self.is_between_requests = False
        self._in_head = True
        self._fields_bytes = self._framing_bytes = 0
        if self._deadline is None:  # it begins in the same bytes in which another one ended
            self._await_request()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; one of the trailers is counted and forgotten, as RFC 9110 section 6.5.1 has it.

        Raises:
            HeadTooLongError: they are too many, or too long together.
        """
        self._fields_bytes += len(name) + len(value) + FIELD_BYTES
        if self._fields_bytes > HEAD_BYTES_MAX:
            raise HeadTooLongError
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Count anew: what follows is a body."""
        self._in_head = False
        self._framing_bytes = 0
        self.begin_request()

    def begin_request(self) -> None:
        """Have the request answered whose head is there."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait no longer: the request is there."""
        self.is_between_requests = True
        self._framing_bytes = 0
        self._stop_waiting()
        super().on_message_complete()

    def take_whole(self) -> None:
        """Note a request that has arrived as a whole, and is not given to the parser."""
        self._unset_keepalive_if_required()
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        """Give the rest of the request, or the next one that has begun, its time from here."""
        super().on_response_complete()
        if self._deadline is not None:
            self._await_request()
