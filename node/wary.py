"""Wary: asking servers that are hostile until proven otherwise, be they peers or strangers.

The length of an answer and the time that it takes are bounded while it arrives, it comes uncompressed, it sets no
cookie, and leads nowhere else.
"""

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpcore
import httpx

from node.errors import ConfigError
from node.faults import PeerCompressedError, PeerTooLongError

ANSWER_TIMEOUTS_MAX = 6  # a whole answer, in waits for a part of it: else one byte now and then would hold us for ever
READ_BYTES = 256 * 1024  # of an answer at a time, as much as the event loop takes from a socket: else it is cut up
PROBLEM_CHARACTERS_MAX = 200  # of a server's own words, in messages and logs

httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = READ_BYTES


def wary_client(
    timeout_ms: int,
    connections: int,
    verify: ssl.SSLContext,
    transport: httpx.AsyncBaseTransport | None,
    *,
    base_url: str = "",
) -> httpx.AsyncClient:
    """Return a client for servers that are hostile until proven otherwise: no compression, cookies, or redirects."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_ms / 1000),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        headers={"Accept-Encoding": "identity", "User-Agent": "suyuan"},
        verify=verify,
        transport=transport,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
        trust_env=False,
    )


def tls_context(authority: Path | None) -> ssl.SSLContext:
    """Return how peers' certificates are checked: by the given authority, else by those that the system trusts.

    Raises:
        ConfigError: the authority's file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=None if authority is None else str(authority))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"no certificates can be read: {error.strerror or error}", field=str(authority)) from None


async def read_answer(response: httpx.Response, bytes_max: int) -> bytes:
    """Return the body of an answer, uncompressed and of so many bytes at most.

    Raises:
        PeerCompressedError, PeerTooLongError: it is not.
    """
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        raise PeerCompressedError(f"the answer is compressed: {words_of(coding)}")
    answer = bytearray()
    async for part in response.aiter_raw():
        answer += part
        if len(answer) > bytes_max:
            raise PeerTooLongError("the answer is too long", limit=bytes_max)
    return bytes(answer)


def words_of(text: str) -> str:
    """Return what a peer may have worded in a form that fits into a message, and that a terminal only shows."""
    return repr(text[:PROBLEM_CHARACTERS_MAX])[1:-1]
