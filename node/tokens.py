"""Bearer tokens: how a department's own clients show who they are (protocol section 6).

    Authorization: Bearer sy_Q5qWJ0r0yG2m8bq7n4s1uQ3X9c6e5d4f3a2B1C0D9E8

A token is ``sy_`` and 32 random bytes in base64url. The node keeps only its SHA-256, in a file that ``suyuan token``
writes and that a running node re-reads when it changes::

    {
      "schema": "suyuan.tokens/1",
      "tokens": [
        {
          "created": "2026-11-21T08:15:30.123Z",
          "expires": "2027-11-21T00:00:00.000Z",
          "name": "exchange-platform",
          "roles": ["submit"],
          "sha256": "b2f5…"
        }
      ]
    }

Roles: ``read`` reads all that the node serves; ``submit`` posts events and manifests as well; ``admin`` may do all of
that, and operate.

    NodeError
    └── TokenError
        ├── UnauthorizedError    unauthorized: no token where one is needed
        ├── BadTokenError        bad_token: not of the form of a token
        ├── UnknownTokenError    unknown_token
        ├── ExpiredTokenError    expired_token
        ├── ForbiddenError       forbidden: a good token without the role
        ├── TokenFileError       token_file: missing or damaged; everybody is refused
        ├── TokenExistsError     token_exists
        └── TokenNotFoundError   token_not_found: no token of that name
"""

import fcntl
import hashlib
import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Final, Literal, TypeAlias

import structlog
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from ledger.encoding import parse_json, parse_time
from ledger.errors import BadValueError, EventError, LedgerError, TooManyError
from ledger.event.base import Frozen, Maybe, Time, parse_model
from ledger.store.headfile import sync_directory
from node.errors import NodeError

SCHEMA: Final = "suyuan.tokens/1"
TOKENS_MAX: Final = 1_000  # a department has tens of systems; each look-up reads a table of this size from memory
TOKEN_BYTES: Final = 32  # of randomness: nothing that is worth guessing, so a plain hash guards it
FILE_BYTES_MAX: Final = 1 << 20  # 1,000 tokens take about 300 KB

_TOKEN = r"sy_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"  # noqa: S105 - 43 characters hold 258 bits: the last two are zero
_EXACT = re.compile(_TOKEN)
_BEARER = re.compile(rf"[Bb][Ee][Aa][Rr][Ee][Rr] +({_TOKEN}) *")  # RFC 6750 section 2.1, RFC 9110 section 11.1
ENTRY_HINT: Final = "suyuan token new --help says how"
_MODE = 0o600
_OTHERS_WRITE = 0o022

Role: TypeAlias = Literal["submit", "read", "admin"]
_GRANTS: dict[Role, frozenset[Role]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "admin": frozenset({"read", "submit", "admin"}),
}

log = structlog.get_logger(__name__)


class TokenError(NodeError):
    """Base of what can be wrong with a token or the file of tokens."""

    code = "token_error"


class UnauthorizedError(TokenError):
    """A request without a token where one is needed."""

    code = "unauthorized"
    hint = "suyuan token new makes one; give it with --token-file or SUYUAN_TOKEN, over HTTP as Authorization: Bearer"


class BadTokenError(TokenError):
    """An Authorization header or a token of another form."""

    code = "bad_token"
    hint = "send Authorization: Bearer sy_ and 43 characters, exactly as suyuan token new has printed it"


class UnknownTokenError(TokenError):
    """A token of the right form that this node does not know, or not any more."""

    code = "unknown_token"
    hint = "the token was revoked, or is another node's; suyuan token list shows which there are"


class ExpiredTokenError(TokenError):
    """A token whose time is over."""

    code = "expired_token"
    hint = "ask for a new token: suyuan token new"


class ForbiddenError(TokenError):
    """A good token that does not allow what was asked."""

    code = "forbidden"
    hint = "use a token with the role that the message names"


class TokenFileError(TokenError):
    """The file of tokens cannot be used, so nobody is let in."""

    code = "token_file"
    hint = "restore the file, or remove it and make new tokens with suyuan token new"


class TokenExistsError(TokenError):
    """A token of that name, or that token, is there already."""

    code = "token_exists"
    hint = "choose another name, or revoke the old token first: suyuan token revoke"


class TokenNotFoundError(TokenError):
    """There is no token of that name."""

    code = "token_not_found"
    hint = "suyuan token list shows the names"


def _distinct(roles: list[Role]) -> list[Role]:
    if len(set(roles)) != len(roles):
        raise PydanticCustomError("bad_value", "a role is named twice")
    return roles


class TokenEntry(Frozen):
    """What the file says about one token."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(_GRANTS)), AfterValidator(_distinct)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]  # of the token's text
    created: Time
    expires: Maybe[Time] = None  # the first moment at which it is no longer good


class _Document(Frozen):
    version: Annotated[Literal["suyuan.tokens/1"], Field(alias="schema")]
    tokens: Annotated[list[TokenEntry], Field(max_length=TOKENS_MAX)]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the name of the token, and everything that its roles allow."""

    name: str
    roles: frozenset[Role]


def new_token(random_bytes: bytes) -> str:
    """Return the token made of 32 random bytes."""
    assert len(random_bytes) == TOKEN_BYTES
    return f"sy_{urlsafe_b64encode(random_bytes).rstrip(b'=').decode('ascii')}"


def require(principal: Principal, role: Role) -> None:
    """Check that a principal may do what takes ``role``.

    Raises:
        ForbiddenError: it may not.
    """
    if role not in principal.roles:
        raise ForbiddenError(f"this takes the role {role}, which the token {principal.name} does not have")


class TokenFile:
    """The file of tokens. Processes that change it at the same time wait for each other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> tuple[TokenEntry, ...]:
        """Return all tokens in the order of the file.

        Raises:
            TokenFileError: the file is missing or cannot be read, others may write it, or it is not of the form above.
        """
        return _parse(_read(self.path), self.path)

    def list(self) -> tuple[TokenEntry, ...]:
        """Return all tokens in the order of their names; none where there is no file yet.

        Raises:
            TokenFileError: as :meth:`load`.
        """
        return tuple(sorted(self._present(), key=lambda entry: entry.name))

    def add(self, name: str, roles: Iterable[Role], token: str, created: str, expires: str | None = None) -> TokenEntry:
        """Add a token; the file is made if there is none. It is durable when this returns.

        ``created`` and ``expires`` are times as in ``2026-11-21T08:15:30.123Z``.

        Raises:
            BadTokenError, BadValueError, TimeError, TooManyError: an argument that does not fit.
            TokenExistsError: the name or the token is there already.
            TokenFileError: as :meth:`load`, or the file cannot be written.
        """
        if _EXACT.fullmatch(token) is None:
            raise BadTokenError("a token is sy_ and 32 bytes in base64url", field="token")
        members = {"name": name, "roles": sorted(roles), "sha256": _digest(token), "created": created}
        try:
            entry = parse_model(TokenEntry, members if expires is None else {**members, "expires": expires})
        except EventError as error:
            error.hint = ENTRY_HINT
            raise
        if entry.expires is not None and entry.expires <= entry.created:  # the spelling sorts as the time does
            raise BadValueError("a token expires after it was made", field="expires", hint=ENTRY_HINT)
        with self._locked():
            entries = self._present()
            for other in entries:
                if entry.name == other.name or entry.sha256 == other.sha256:
                    raise TokenExistsError(f"the token {other.name} is there already", field="name")
            if len(entries) >= TOKENS_MAX:
                raise TooManyError(f"at most {TOKENS_MAX} tokens", field="tokens", limit=TOKENS_MAX)
            self._replace((*entries, entry))
        return entry

    def revoke(self, name: str) -> TokenEntry:
        """Remove a token and return what the file said about it; a running node refuses it from then on.

        Raises:
            TokenNotFoundError: there is no token of that name.
            TokenFileError: as :meth:`load`, or the file cannot be written.
        """
        with self._locked():
            entries = self._present()
            revoked = next((entry for entry in entries if entry.name == name), None)
            if revoked is None:
                raise TokenNotFoundError("there is no token of this name", field="name")
            self._replace(entry for entry in entries if entry is not revoked)
        return revoked

    def _present(self) -> tuple[TokenEntry, ...]:
        return self.load() if os.path.lexists(self.path) else ()

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Lock the folder from the reading to the replacing; the kernel unlocks it when a process dies."""
        folder = self.path.parent
        with _as_file_error(folder):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _as_file_error(folder):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _replace(self, entries: Iterable[TokenEntry]) -> None:
        """Write the file: (1) write and sync a new one, (2) rename it, (3) sync the folder.

        A crash before (2) leaves the old tokens, one after it either the old or the new, each of them whole.
        """
        tokens = [entry.model_dump(exclude_none=True) for entry in entries]
        text = json.dumps({"schema": SCHEMA, "tokens": tokens}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        fresh = self.path.with_name(self.path.name + ".new")
        with _as_file_error(self.path):
            fresh.unlink(missing_ok=True)  # a crash has left it
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            with os.fdopen(descriptor, "wb") as file:
                owner = self.path.parent.stat()
                if (
                    os.geteuid() == 0 != owner.st_uid
                ):  # else root's tokens would lock out a node that runs as somebody else
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            sync_directory(self.path.parent)


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    expires_ms: int | None  # since 1970


_Mark: TypeAlias = tuple[int, int, int, int] | None  # what changes when a file does; None: there is none


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What was read, of which state of the file, and why it is nothing."""

    mark: _Mark
    known: Mapping[str, _Known]  # by SHA-256 of the token: looking it up tells nothing about other tokens
    problem: str | None


class TokenGate:
    """Says who a bearer token is. One per node; calls may come from any thread.

    A file that is missing or damaged refuses everybody: the tokens of before are not used any more, as one of them may
    have been revoked.
    """

    def __init__(self, path: Path, clock: Callable[[], int], *, look_ms: int = 0) -> None:
        """Guard with the tokens in the file ``path``; ``clock`` gives milliseconds since 1970.

        For a token that is known, the file is looked at every ``look_ms`` only: each look lets go of the interpreter,
        and gets it back when the writer's thread does so.
        """
        self._look_ms = look_ms
        self._looked_ms: int | None = None
        self._file = TokenFile(path)
        self._clock = clock
        self._lock = Lock()
        self._loaded: _Loaded | None = None

    def identify(self, authorization_header: str | None) -> Principal:
        """Return whose token the header holds.

        Raises:
            UnauthorizedError: there is no header.
            BadTokenError: it holds something else.
            UnknownTokenError, ExpiredTokenError: the token is not good, or not any more.
            TokenFileError: the node cannot tell, because of its file.
        """
        if authorization_header is None:
            raise UnauthorizedError("this takes a token", field="authorization")
        match = _BEARER.fullmatch(authorization_header)
        if match is None:
            raise BadTokenError("the header is not Bearer and a token", field="authorization")
        digest = _digest(match[1])
        now = self._clock()
        loaded = self._loaded
        if loaded is None or self._looked_ms is None or not 0 <= now - self._looked_ms < self._look_ms:
            loaded, self._looked_ms = self._current(), now
        elif digest not in loaded.known:  # perhaps it was added just now
            loaded = self._current()
        if loaded.problem is not None:
            raise TokenFileError(loaded.problem, field=str(self._file.path))
        known = loaded.known.get(digest)
        if known is None:
            raise UnknownTokenError("no such token is known here", field="authorization")
        if known.expires_ms is not None and now >= known.expires_ms:
            raise ExpiredTokenError(f"the token {known.principal.name} has expired", field="authorization")
        return known.principal

    def _current(self) -> _Loaded:
        """Return the tokens, read anew when the file is not the one that was read last; a look costs one stat."""
        loaded = self._loaded
        mark = _mark(self._file.path)
        if loaded is not None and loaded.mark == mark:
            return loaded
        with self._lock:
            if self._loaded is None or self._loaded.mark != mark:
                self._loaded = self._load(mark)
            return self._loaded

    def _load(self, mark: _Mark) -> _Loaded:
        """Read the file. ``mark`` was taken before: a file that changed since is read once more at the next look."""
        path = self._file.path
        try:
            data = _read(path)
        except TokenFileError as error:
            return self._refuse_all(None, error)  # the disk may answer again without any change of the file
        try:
            entries = _parse(data, path)
        except TokenFileError as error:
            return self._refuse_all(mark, error)
        log.info("tokens_read", path=str(path), tokens=len(entries))
        return _Loaded(mark, {entry.sha256: _known(entry) for entry in entries}, None)

    def _refuse_all(self, mark: _Mark, error: TokenFileError) -> _Loaded:
        if self._loaded is None or self._loaded.problem != error.message:  # said once, not with every request
            log.error("token_file", path=error.field, problem=error.message, hint=error.hint)
        return _Loaded(mark, {}, error.message)


def _known(entry: TokenEntry) -> _Known:
    allowed = frozenset[Role]().union(*(_GRANTS[role] for role in entry.roles))
    return _Known(Principal(entry.name, allowed), None if entry.expires is None else parse_time(entry.expires))


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast as Path.stat, on every request
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _parse(data: bytes, path: Path) -> tuple[TokenEntry, ...]:
    try:
        entries = parse_model(_Document, parse_json(data)).tokens
    except LedgerError as error:
        raise TokenFileError(f"damaged: {error}", field=str(path)) from None
    for member in ("name", "sha256"):
        if len({getattr(entry, member) for entry in entries}) != len(entries):
            raise TokenFileError(f"damaged: two tokens have the same {member}", field=str(path))
    return tuple(entries)


def _read(path: Path) -> bytes:
    with _as_file_error(path), path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS_WRITE:
            raise TokenFileError("others may write this file", field=str(path), hint=f"chmod 600 {path}")
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise TokenFileError("damaged: too large", field=str(path), limit=FILE_BYTES_MAX)
    return data


@contextmanager
def _as_file_error(path: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise TokenFileError("there is no such file", field=str(path)) from None
    except OSError as error:
        raise TokenFileError(f"the disk refused: {error.strerror}", field=str(path)) from None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()
