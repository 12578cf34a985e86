"""The requests that come most often, past the router: recording events, one by one and in batches.

A router that knows every path, validates parameters and builds an answer model takes longer over a request than
recording the event does. So these two are recognised by method, path and query as clients send them, and go straight
to the same functions that the router would call; any other spelling goes through the router, which also documents them.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.errors import LedgerError
from node.api import events, problems
from node.api.auth import node_of

_Wait = Literal["recorded", "confirmed"]
_PATHS: dict[str, Callable[[Request, _Wait], Awaitable[Response]]] = {
    "/v1/events": events.post_event,
    "/v1/events/batch": events.post_events,
}
_WAITS: dict[bytes, _Wait] = {b"": "recorded", b"wait=recorded": "recorded", b"wait=confirmed": "confirmed"}


class HotRoutes:
    """Answers these requests, and hands on all others."""

    def __init__(self, app: FastAPI, guard: Callable[[ASGIApp], ASGIApp]) -> None:
        """``app`` routes all others; ``guard`` answers for a fault of the software, as it does there."""
        self._app = app
        self._guarded = guard(self._serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_hot = (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in _PATHS
            and scope["query_string"] in _WAITS
        )
        await (self._guarded if is_hot else self._app)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            response = await _PATHS[scope["path"]](request, _WAITS[scope["query_string"]])
        except LedgerError as error:
            response = problems.refuse(node_of(request), error)
        await response(scope, receive, send)
