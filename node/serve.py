"""Running a node in the foreground: logs, signals, the web server."""

import logging
import sys
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from node.app import create_app
from node.config import Home, Settings
from node.errors import ConfigError
from node.service import Node, load_foundation

BACKLOG = 512  # connections that wait to be taken
KEEP_ALIVE_SECONDS = 75
CONNECTIONS_MAX = 1024  # at one time: 50 peers with four each, and a department's own systems; more get a 503
HEAD_BYTES_MAX = 64 * 1024  # of a request: a signed one has 2 KB, and the parser itself knows no limit
SHUTDOWN_SECONDS = 10


def run(home: Home) -> int:
    """Run the node in ``home`` until it is told to stop; return the exit code.

    Raises:
        ConfigError, StoreError, IntegrityAlarm, VerificationError: it cannot start; the message says why.
    """
    configure_logging(home.settings)
    node = Node(load_foundation(home))
    server = uvicorn.Server(server_config(node))
    try:
        _load(server.config)
        server.run()
    finally:
        node.store.close()  # for the second time, if the node has ever run
    return 0 if server.started else 2


def _load(config: uvicorn.Config) -> None:
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"the certificate or its key cannot be used: {error}", field="tls_certificate") from None


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
        http=BoundedHttp,
        ws="none",
        limit_concurrency=CONNECTIONS_MAX,
        server_header=False,
        proxy_headers=False,
        **tls,
    )


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with a bound on a request's head, which otherwise grows until memory ends."""

    _head_bytes: int | None = 0  # received while a head was incomplete; None: the head is complete

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting."""
        self._head_bytes = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, unless the head is too long already."""
        if self._head_bytes is not None:
            if self._head_bytes > HEAD_BYTES_MAX:
                self.send_400_response("The head of the request is too long.")
                return
            self._head_bytes += len(data)
        super().data_received(data)


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
