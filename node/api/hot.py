"""The requests that come most often, past the router: recording events, one by one and in batches.

A router that knows every path, validates parameters and builds an answer model takes longer over a request than
recording the event does. So these two are recognised by method, path and query as clients send them, and go straight
to the same functions that the router would call; any other spelling goes through the router, which also documents them.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.errors import LedgerError
from node.api import events, problems

_Wait = Literal["recorded", "confirmed"]
_PATHS: dict[str, Callable[[Request, _Wait], Awaitable[Response]]] = {
    "/v1/events": events.post_event,
    "/v1/events/batch": events.post_events,
}
_WAITS: dict[bytes, _Wait] = {b"": "recorded", b"wait=recorded": "recorded", b"wait=confirmed": "confirmed"}


class HotRoutes:
    """Answers these requests, and hands on all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            answer, wait = _PATHS.get(scope["path"]), _WAITS.get(scope["query_string"])
            if answer is not None and wait is not None:
                request = Request(scope, receive)
                try:
                    response = await answer(request, wait)
                except LedgerError as error:
                    response = problems.count_problem(request, problems.problem(error), error.code)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
