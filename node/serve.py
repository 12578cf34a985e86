"""Running a node in the foreground: logs, signals, the web server."""

import errno
import gc
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn

from node.app import create_app
from node.config import Home, Settings
from node.errors import ConfigError
from node.express import express_of
from node.foundation import load_foundation
from node.service import Node

BACKLOG = 512  # connections that wait to be taken
KEEP_ALIVE_SECONDS = 75
CONNECTIONS_MAX = 1024  # at one time: 50 peers with four each, and a department's own systems; more get a 503
SHUTDOWN_SECONDS = 10
GARBAGE_OBJECTS_MIN = 20_000  # made and not released between two searches for cycles; a search of them takes 1 ms
CANNOT_START = 2  # exit code
ADDRESS_HINT = "stop the other one, or set another port; suyuan config show says what is set"


def run(home: Home) -> int:
    """Run the node in ``home`` until it is told to stop; return the exit code.

    Raises:
        ConfigError, StoreError, IntegrityAlarm, VerificationError: it cannot start; the message says why.
    """
    configure_logging(home.settings)
    node = Node(load_foundation(home))
    server = Server(node)
    try:
        _load(server.config)
        _check_address(home.settings)
        with garbage_at_leisure():
            server.run()
    except SystemExit:  # uvicorn has said why it cannot start
        return CANNOT_START
    finally:
        node.store.close()  # for the second time, if the node has ever run
    return 0 if server.started else CANNOT_START


@contextmanager
def garbage_at_leisure() -> Iterator[None]:
    """Search for cycles less often than Python does, and never among what is here by now.

    What has been loaded stays: searching all of it now and then holds up every request for 20 ms. And a batch makes
    thousands of objects that are all in use: searching them again and again takes a twelfth of recording's time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS_MIN, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _check_address(settings: Settings) -> None:
    """Look whether another process has the address already, before the node says that it is up."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _name, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            words = f"{settings.host}, port {settings.port}: another process listens there"
            raise ConfigError(words, field="port", hint=ADDRESS_HINT) from None


def _load(config: uvicorn.Config) -> None:
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        words = f"the certificate {config.ssl_certfile} or its key {config.ssl_keyfile} cannot be used: {error}"
        raise ConfigError(words, field="tls_certificate") from None


def server_config(node: Node) -> uvicorn.Config:
    """Return how the web server runs ``node``."""
    settings = node.settings
    tls: dict[str, Any] = {}
    if settings.tls_certificate is not None and settings.tls_key is not None:
        tls = {
            "ssl_certfile": str(node.home.path(settings.tls_certificate)),
            "ssl_keyfile": str(node.home.path(settings.tls_key)),
        }
    return uvicorn.Config(
        create_app(node),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        lifespan="on",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        http=express_of(node),
        ws="none",
        limit_concurrency=CONNECTIONS_MAX,
        server_header=False,
        proxy_headers=False,
        **tls,
    )


class Server(uvicorn.Server):
    """uvicorn's server of a node; who waits for a confirmation when it is told to stop gets an answer, not a 500."""

    def __init__(self, node: Node) -> None:
        super().__init__(server_config(node))
        self._node = node

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is under way, and stop."""
        self._node.confirmations.release()
        await super().shutdown(sockets)


def configure_logging(settings: Settings) -> None:
    """Send all logs, the libraries' too, to standard error: for a person or for a collector."""
    level = getattr(logging, settings.log_level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(level, logging.WARNING), format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
