"""Request bodies and query parameters: bounded while they arrive, strict when they are read."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from ledger.encoding import DECIMAL_MAX, JsonValue, parse_decimal, parse_json
from ledger.errors import BadValueError, LimitError, MissingMemberError, OutOfRangeError, UnknownMemberError
from node.errors import NodeError

EVENT_BODY_BYTES_MAX = 256 * 1024  # the largest entry in the most generous spelling of its JSON
BATCH_BODY_BYTES_MAX = 16 * 1024 * 1024  # 1,000 events of 16 KB
BODY_SECONDS_MAX = 120.0  # 16 MB at 1 Mbit/s; who sends one byte now and then does not hold memory for ever
LARGE_AT_ONCE_MAX = 4  # bodies above 256 KB in memory at one time, each taking up to ten times its size when parsed

T = TypeVar("T")


class BodyTooLargeError(LimitError):
    """The body is larger than this request may have."""

    code = "body_too_large"
    hint = "send less at once: large transfers name a manifest, many events go in several batches"


class BodyBrokenOffError(NodeError):
    """The body did not come, or not in time."""

    code = "body_broken_off"
    hint = "send the whole body at once; the same event ids can safely be sent again"


class WrongMediaTypeError(NodeError):
    """The body is of another kind than this request takes."""

    code = "wrong_media_type"
    hint = "send JSON with Content-Type: application/json"


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return the whole body, reading no more than ``bytes_max`` bytes of it.

    Raises:
        BodyTooLargeError: there is more.
        BodyBrokenOffError: it did not come in time, or the client has gone.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:19]) > bytes_max:
        raise BodyTooLargeError(f"a body of {announced[:19]} bytes", field="body", limit=bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for part in request.stream():
                body += part
                _check_length(body, bytes_max)
    except (ClientDisconnect, TimeoutError):
        raise BodyBrokenOffError(f"the body ended after {len(body)} bytes", field="body") from None
    return bytes(body)


def _check_length(body: bytearray, bytes_max: int) -> None:
    if len(body) > bytes_max:
        raise BodyTooLargeError(f"a body of more than {bytes_max} bytes", field="body", limit=bytes_max)


async def read_large(request: Request, bytes_max: int, parse: Callable[[bytes], T]) -> T:
    """Return what ``parse`` makes of a body that may be large: in a thread of its own, and a few of them at one time.

    Raises:
        BodyTooLargeError, BodyBrokenOffError: as :func:`read_body`; and whatever ``parse`` raises.
    """
    room: asyncio.Semaphore = request.app.state.room_for_large
    async with room:
        body = await read_body(request, bytes_max)
        return await asyncio.to_thread(parse, body)


async def read_json(request: Request, bytes_max: int) -> JsonValue:
    """Return the body as JSON of the restricted kind of protocol section 2.

    Raises:
        BodyTooLargeError, BodyBrokenOffError, WrongMediaTypeError: before anything is parsed.
        JsonError, LimitError: see :func:`ledger.encoding.parse_json`.
    """
    check_json_type(request)
    return parse_json(await read_body(request, bytes_max))


def check_json_type(request: Request) -> None:
    """Refuse a body that says that it is something else than JSON.

    Raises:
        WrongMediaTypeError: it does.
    """
    check_json_kind(request.headers.get("content-type"))


def check_json_kind(content_type: str | None) -> None:
    """Refuse a content type, if there is one, that says something else than JSON.

    Raises:
        WrongMediaTypeError: it does.
    """
    kind = "application/json" if content_type is None else content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WrongMediaTypeError(f"{kind[:80]} where application/json is expected", field="content-type")


def check_parameters(request: Request, *known: str) -> None:
    """Refuse a query parameter that this request does not have, or that is there twice.

    Raises:
        UnknownMemberError, BadValueError: which one.
    """
    for name in request.query_params:
        if name not in known:
            raise UnknownMemberError(f"there is no parameter {name[:40]!r} here", field="query", hint="see /docs")
        if len(request.query_params.getlist(name)) > 1:
            raise BadValueError("the parameter is there twice", field=name)


def text_parameter(request: Request, name: str) -> str:
    """Return a query parameter that must be there.

    Raises:
        MissingMemberError: it is not.
    """
    value = request.query_params.get(name)
    if value is None:
        raise MissingMemberError("this parameter is required", field=name)
    return value


def number_parameter(request: Request, name: str, default: int | None = None, *, maximum: int = DECIMAL_MAX) -> int:
    """Return a whole number from the query.

    Raises:
        MissingMemberError, DecimalError, OutOfRangeError: it is not there, is no number, or too large.
    """
    value = request.query_params.get(name)
    if value is None:
        if default is None:
            raise MissingMemberError("this parameter is required", field=name)
        return default
    number = parse_decimal(value, field=name)
    if number > maximum:
        raise OutOfRangeError(f"at most {maximum}", field=name, limit=maximum)
    return number
