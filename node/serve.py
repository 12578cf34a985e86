"""Running a node in the foreground: logs, signals, the web server."""

import logging
import sys
from typing import Any

import structlog
import uvicorn

from node.app import create_app
from node.config import Home, Settings
from node.service import Node, load_foundation

BACKLOG = 512  # connections that wait to be taken
KEEP_ALIVE_SECONDS = 75
HEADER_BYTES_MAX = 32 * 1024
SHUTDOWN_SECONDS = 10


def run(home: Home) -> int:
    """Run the node in ``home`` until it is told to stop; return the exit code.

    Raises:
        ConfigError, StoreError, IntegrityAlarm, VerificationError: it cannot start; the message says why.
    """
    configure_logging(home.settings)
    node = Node(load_foundation(home))
    server = uvicorn.Server(server_config(node))
    server.run()
    if not server.started:
        return 2
    return 0


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
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        server_header=False,
        proxy_headers=False,
        **tls,
    )


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
