"""The gate: which peer a request is from, by its HTTP message signature (node/transport.py, protocol section 6).

What the gate remembers is lost with the process; so it refuses what was signed before it began.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
)

from ledger.note import ED25519, VerifierKey
from node.transport import (
    COMPONENTS,
    LABEL,
    NONCE,
    TAG,
    Message,
    NoteEd25519,
    PeerDigestMismatchError,
    PeerSignatureExpiredError,
    PeerSignatureIncompleteError,
    PeerSignatureInvalidError,
    PeerSignatureMalformedError,
    PeerSignatureMissingError,
    PeerSignatureReplayedError,
    PeerUnknownError,
    PeerWrongAuthorityError,
    Resolver,
    WrongSignatureError,
    authority_of,
    content_digest,
    shown,
)

PARAMETERS: Final = frozenset({"created", "keyid", "alg", "nonce", "tag"})
WINDOW_SECONDS: Final = 60  # what clocks of departments may differ by, and a request may take
NONCES_MAX: Final = 20_000  # of one peer: 330 requests a second throughout the window, about 3.5 MB
URL_CHARACTERS_MAX: Final = 8_192  # as common servers limit a request line
HEADERS_MAX: Final = 100  # header lines of a request
HEADER_CHARACTERS_MAX: Final = 16_384  # all header lines together
FIELD_CHARACTERS_MAX: Final = 1_024  # each of the three fields of a signature; ours have about 300

_REQUIRED = frozenset(COMPONENTS)
_HOST_NONE = "host.invalid"  # where a request names no host; RFC 2606 keeps the name unused

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
Authority: TypeAlias = str | Callable[[], str | None] | None


class _UnknownKeyError(InvalidSignature):
    """No key is known under the key ID."""


class PeerGate:
    """Says which peer a request is from. One per node; calls may come from any thread."""

    def __init__(
        self,
        authority: Authority,
        key_of: Callable[[str], VerifierKey | None],
        clock: Callable[[], int],
        *,
        window_s: int = WINDOW_SECONDS,
        nonces_max: int = NONCES_MAX,
    ) -> None:
        """Guard the node at ``authority``: the :func:`authority_of` its member URL, or a function that gives it.

        As long as it is None, everybody is refused. ``key_of`` gives the transport key of a member that may speak, or
        None; ``clock`` milliseconds since 1970. A signature may be ``window_s`` seconds older or younger than this
        clock. ``nonces_max`` bounds what is remembered of one peer.
        """
        self._authority = authority
        self._clock = clock
        self._window_ms = window_s * 1000
        self._nonces_max = nonces_max
        self._verifier = _Verifier(
            signature_algorithm=NoteEd25519, key_resolver=_Keys(key_of), component_resolver_class=Resolver
        )
        self._started_ms = clock()
        self._used: dict[str, _Nonces] = {}  # by origin: members only, as nothing is remembered before it is verified
        self._lock = Lock()

    def verify(self, method: str, url: str, headers: Headers, body: bytes) -> str:
        """Return the origin of the peer that signed the request.

        ``url`` is absolute, its path and query as they came (see :func:`url_of`), ``headers`` all fields, ``body`` the
        whole content. Nothing is remembered of a request that is refused.

        Raises:
            PeerAuthError: one of its kinds, see the module's docstring.
        """
        own = self._authority() if callable(self._authority) else self._authority
        if own is None:
            raise PeerWrongAuthorityError("this node is not listed with a URL in the network document")
        fields = _fields(headers)
        if len(url) > URL_CHARACTERS_MAX:
            raise PeerSignatureMalformedError("the URL is too long", field="url", limit=URL_CHARACTERS_MAX)
        result = self._signature(Message(method=method, url=url, headers=fields, authority=own))
        if set(result.parameters) != PARAMETERS:
            raise PeerSignatureMalformedError(f"the parameters are {_listed(PARAMETERS)}", field="signature-input")
        if missing := _REQUIRED - result.covered_components.keys():
            raise PeerSignatureIncompleteError(f"does not cover {_listed(missing)}", field="signature-input")
        if content_digest(body) != fields["content-digest"]:
            raise PeerDigestMismatchError("the body is not the one that was signed", field="content-digest")
        origin, nonce, created = (result.parameters[name] for name in ("keyid", "nonce", "created"))
        assert isinstance(origin, str)
        assert isinstance(nonce, str)
        assert isinstance(created, int)
        self._use(origin, nonce, created)
        return origin

    def _signature(self, message: Message) -> VerifyResult:
        """Return the one signature of ours, verified as far as the library does: form, algorithm, key, signature."""
        try:
            return self._verifier.ours(message)
        except WrongSignatureError:
            pass
        except _UnknownKeyError as error:
            raise PeerUnknownError(f"{error} is no member that may ask here", field="keyid") from None
        except HTTPMessageSignaturesException as error:
            raise PeerSignatureMalformedError(shown(str(error)), field="signature-input") from None
        named = authority_of(message.url)
        if named != message.authority and self._verifier.accepts(replace(message, authority=named)):
            raise PeerWrongAuthorityError(f"the request was signed for {named}, and this node is {message.authority}")
        raise PeerSignatureInvalidError("the key of this peer did not sign this request", field="signature")

    def _use(self, origin: str, nonce: str, created: int) -> None:
        """Check the moment (in seconds) and that the nonce is new, and remember it."""
        if NONCE.fullmatch(nonce) is None:
            raise PeerSignatureMalformedError("a nonce is 22 to 64 characters of base64url", field="nonce")
        with self._lock:
            now_ms = self._clock()
            age_ms = now_ms - created * 1000
            if abs(age_ms) > self._window_ms:
                when = f"{age_ms} ms ago" if age_ms > 0 else f"{-age_ms} ms in the future"
                raise PeerSignatureExpiredError(f"signed {when}", field="created", limit=self._window_ms)
            self._started_ms = min(self._started_ms, now_ms)  # a clock that was set back says nothing about the start
            if created < self._started_ms // 1000:
                raise PeerSignatureExpiredError("signed before this node started", field="created")
            used = self._used.get(origin)
            if used is None:
                used = self._used[origin] = _Nonces(self._nonces_max)
            oldest = -((self._window_ms - now_ms) // 1000)  # the first second that still passes: rounded up
            used.add(nonce, created, oldest=oldest)


def url_of(scope: Mapping[str, Any]) -> str:
    """Return the absolute URL of an ASGI request, path and query as they came (Starlette's ``request.url`` decodes)."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), _HOST_NONE)
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope.get("query_string", b"")
    target = raw_path + b"?" + query if query else raw_path
    return f"{scope.get('scheme', 'http')}://{host}{target.decode('latin-1')}"


class _Keys(HTTPSignatureKeyResolver):
    """Finds the public key of a member."""

    def __init__(self, key_of: Callable[[str], VerifierKey | None]) -> None:
        self._key_of = key_of

    def resolve_public_key(self, key_id: str) -> bytes:
        key = self._key_of(key_id)
        if key is None:
            raise _UnknownKeyError(shown(key_id))
        assert key.algorithm == ED25519
        return key.public_key


class _Verifier(HTTPMessageVerifier):
    """The library's verifier, but for the clock, which it reads itself."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Leave the time to the gate, whose clock is an argument."""

    def ours(self, message: Message) -> VerifyResult:
        (result,) = self.verify(message, max_age=None, expect_tag=TAG, expect_label=LABEL)
        return result

    def accepts(self, message: Message) -> bool:
        try:
            self.ours(message)
        except HTTPMessageSignaturesException:
            return False
        return True


class _Nonces:
    """The nonces that one peer has used, by the second in which they were made.

    Whole seconds are forgotten, oldest first: when they are out of the window, or when there are too many. ``_floor``
    is the newest forgotten one. Nothing from it or before it passes again, whatever the clock does; a peer that sends
    more than is remembered thus has a shorter window, not a replay.
    """

    def __init__(self, nonces_max: int) -> None:
        self._nonces_max = nonces_max
        self._by_second: dict[int, set[str]] = {}
        self._floor = -1
        self._count = 0

    def add(self, nonce: str, created: int, *, oldest: int) -> None:
        """Remember a nonce; ``oldest`` is the first second of the window."""
        for second in [second for second in self._by_second if second < oldest]:
            self._forget(second)
        if nonce in self._by_second.get(created, ()):
            raise PeerSignatureReplayedError("this request was received before", field="nonce")
        while self._count >= self._nonces_max and created > self._floor:
            self._forget(min(self._by_second))
        if created <= self._floor:
            raise PeerSignatureExpiredError("older than what is remembered of this peer", field="created")
        self._by_second.setdefault(created, set()).add(nonce)
        self._count += 1

    def _forget(self, second: int) -> None:
        self._count -= len(self._by_second.pop(second))
        self._floor = max(self._floor, second)


def _fields(headers: Headers) -> dict[str, str]:
    """Return the header fields by lower-case name.

    Raises:
        PeerSignatureMissingError, PeerSignatureMalformedError, PeerDigestMismatchError: one is missing, or too large.
    """
    fields: dict[str, str] = {}
    room = HEADER_CHARACTERS_MAX
    for number, (raw_name, raw_value) in enumerate(headers.items() if isinstance(headers, Mapping) else headers):
        room -= len(raw_name) + len(raw_value)
        if room < 0 or number >= HEADERS_MAX:
            raise PeerSignatureMalformedError("the headers are too large", field="headers", limit=HEADER_CHARACTERS_MAX)
        name = (raw_name.decode("latin-1") if isinstance(raw_name, bytes) else raw_name).lower()
        value = raw_value.decode("latin-1") if isinstance(raw_value, bytes) else raw_value
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    for name in ("signature-input", "signature"):
        if name not in fields:
            raise PeerSignatureMissingError("the request is not signed", field=name)
    if "content-digest" not in fields:
        raise PeerDigestMismatchError("the request does not state the digest of its body", field="content-digest")
    for name in ("signature-input", "signature", "content-digest"):
        if len(fields[name]) > FIELD_CHARACTERS_MAX:
            raise PeerSignatureMalformedError("the field is too long", field=name, limit=FIELD_CHARACTERS_MAX)
    return fields


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
