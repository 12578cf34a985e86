"""One request and its answer over HTTP, with the standard library alone: what a command needs of a network.

:mod:`http.client` is imported in a few milliseconds, where a client library with its event loops takes a quarter of the
time of a whole command. Connections are kept for the next request, TLS is what the :class:`ssl.SSLContext` says, and
proxies are those of the environment (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) unless
``direct`` is asked for. No redirect is followed, nothing is unpacked, and nothing is sent twice.

Raises what the standard library raises: ``OSError`` and ``http.client.HTTPException`` where there is no answer,
``ValueError`` for an address that is none.
"""

import select
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import socket
from typing import Protocol
from urllib.parse import SplitResult, quote, unquote, urlsplit

PIECE_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}
OTHER_NAME = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_SAFE = "/?&=%:@!$'()*+,;~"  # what stands for itself in a path with its query; the rest is written as %XX


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    target: str  # path and query below the address
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; ``pieces`` are read while they are asked for."""

    status: int
    media: str  # Content-Type as it was sent
    pieces: Iterator[bytes]


class Exchange(Protocol):
    """Carries requests to one node."""

    def send(self, request: Request) -> Response:
        """Send a request; the next one may follow when all of the answer has been read, or after ``close``."""
        ...

    def close(self) -> None:
        """End the connection; the next request makes a new one."""
        ...


def split_url(url: str) -> SplitResult:
    """Return the parts of a node's address.

    Raises:
        ValueError: it is not http or https, has no host, or an impossible port.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("it begins with http:// or https://")
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.username is not None:
        raise ValueError("a name or password does not belong into it")
    _ = parts.port  # its range
    return parts


class NamedConnection(HTTPSConnection):
    """Over TLS, to a host whose certificate may be valid for another name: asked on the spot, it goes by its address.

    A second attempt is made only where the name alone was wrong; nothing has been sent by then.
    """

    def __init__(
        self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, other_name: Callable[[], str | None]
    ) -> None:
        """Prepare it; ``other_name`` is asked when a certificate is not valid for ``host``."""
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._name = host
        self._other_name = other_name

    def connect(self) -> None:
        """Connect, and verify the certificate."""
        try:
            self._shake_hands()
        except ssl.SSLCertVerificationError as error:
            name = self._other_name() if error.verify_code in OTHER_NAME else None
            if name is None or name == self._name:
                raise
            self._name = name
            self._shake_hands()

    def _shake_hands(self) -> None:
        HTTPConnection.connect(self)
        try:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)
        except BaseException:
            self.close()
            raise


class HttpExchange:
    """Over TCP, with TLS or without; not for several threads at one time."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        connect_timeout: float,
        context: ssl.SSLContext | None,
        direct: bool,
        other_name: Callable[[], str | None] | None = None,
    ) -> None:
        """Prepare it; nothing is sent yet. ``context`` says which certificates count, ``direct``: through no proxy.

        ``other_name`` gives a host name for which the certificate may be valid in the place of the address's.

        Raises:
            ValueError: the address, or that of a proxy, is none.
        """
        parts = split_url(url)
        self._base = parts.path.rstrip("/")
        self._timeout = timeout
        proxy = None if direct else proxy_for(parts)
        headers: dict[str, str] = {}
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        reached = (proxy.hostname or "", proxy.port or _PORTS[proxy.scheme]) if proxy is not None else (host, port)
        self._connection: HTTPConnection
        if parts.scheme == "http":
            self._connection = HTTPConnection(*reached, timeout=connect_timeout)
        elif other_name is None or proxy is not None or context is None:
            self._connection = HTTPSConnection(*reached, timeout=connect_timeout, context=context)
        else:
            self._connection = NamedConnection(
                host, port, timeout=connect_timeout, context=context, other_name=other_name
            )
        if proxy is not None:
            if proxy.username is not None:
                headers["Proxy-Authorization"] = _basic(proxy)
            if parts.scheme == "https":
                self._connection.set_tunnel(host, port, headers=headers)
                headers = {}
            else:
                self._base = f"http://{parts.netloc}{self._base}"
        self._headers = headers

    def send(self, request: Request) -> Response:
        """Send a request over the connection that is there, if the other side has not ended it, or over a new one."""
        connection = self._connection
        if connection.sock is not None and _is_ended(connection.sock):
            connection.close()
        with self._whole_or_closed():
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(self._timeout)
            target = self._base + quote(request.target, safe=_SAFE)
            connection.request(request.method, target, request.body, {**request.headers, **self._headers})
            response = connection.getresponse()
        return Response(response.status, response.headers.get("Content-Type", ""), self._pieces(response))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        with self._whole_or_closed():
            while piece := response.read1(PIECE_BYTES):
                yield piece
            if response.length:
                raise IncompleteRead(b"", response.length)
        response.close()

    @contextmanager
    def _whole_or_closed(self) -> Iterator[None]:
        """Leave no connection behind in the middle of an answer."""
        try:
            yield
        except BaseException:
            self._connection.close()
            raise


def proxy_for(parts: SplitResult) -> SplitResult | None:
    """Return the proxy by which the environment wants an address to be reached.

    Raises:
        ValueError: it is not reached by plain HTTP.
    """
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - only for other machines

    proxies = getproxies()
    url = proxies.get(parts.scheme) or proxies.get("all")
    if not url or proxy_bypass(parts.netloc):
        return None
    proxy = urlsplit(url if "://" in url else f"http://{url}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise ValueError(f"the proxy {proxy.scheme}://{proxy.hostname} of the environment is not one of plain http")
    return proxy


def _basic(proxy: SplitResult) -> str:
    secret = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return f"Basic {b64encode(secret.encode()).decode()}"


def _is_ended(sock: socket) -> bool:
    """Tell whether the other side has closed an idle connection: then there is something to read, its end."""
    poll = select.poll()  # unlike select, it takes descriptors above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
