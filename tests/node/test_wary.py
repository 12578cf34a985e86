"""Asking servers that are hostile until proven otherwise: what is not shown by a faulty peer (test_peer_faults.py)."""

import httpcore

from node.wary import READ_BYTES

BODY = bytes(3 * READ_BYTES)


class Counting(httpcore.AsyncMockStream):
    """A connection that notes how much is asked of it at a time."""

    def __init__(self) -> None:
        super().__init__([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY), BODY])
        self.asked: set[int] = set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        self.asked.add(max_bytes)
        return await super().read(max_bytes, timeout)


async def test_an_answer_is_not_cut_into_smaller_pieces_than_come_from_the_socket() -> None:
    stream = Counting()
    async with httpcore.AsyncHTTP11Connection(httpcore.Origin(b"http", b"node.test", 80), stream) as connection:
        answer = await connection.request("GET", "http://node.test/")
    assert answer.content == BODY
    assert stream.asked == {READ_BYTES}
