"""Signed requests between peers: HTTP Message Signatures by a member's transport key (RFC 9421, protocol section 6).

    GET /logs/3f…/checkpoint HTTP/1.1
    Host: health.ordos.example
    Content-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:
    Signature-Input: suyuan=("@method" "@authority" "@path" "@query" "content-digest");created=1795248930
        ;keyid="police.ordos.example/log";alg="ed25519";nonce="iO5cmO3h5rxcSqbGxcVTqg";tag="suyuan/v1"   (one line)
    Signature: suyuan=:XBZ6cnAFFxyt0FkFx5KL…Cg==:

:class:`PeerAuth` signs every request of an httpx client, :class:`PeerGate` verifies on the server and names the peer.
What is signed binds the request to one receiver (@authority, which the receiver knows about itself and does not take
from the request), one resource, one body (content-digest, also of an empty body), one moment (created, in seconds) and
one use (nonce).

    NodeError
    └── PeerAuthError                     peer_auth: not from the peer that it names, or that cannot be shown
        ├── PeerSignatureMissingError     peer_signature_missing
        ├── PeerSignatureMalformedError   peer_signature_malformed: not of the form above, or too large
        ├── PeerSignatureIncompleteError  peer_signature_incomplete: signed, but leaves out a part that must be covered
        ├── PeerUnknownError              peer_unknown: no member of that origin
        ├── PeerSignatureInvalidError     peer_signature_invalid: a known member, a wrong signature
        ├── PeerWrongAuthorityError       peer_wrong_authority: rightly signed, for somebody else
        ├── PeerSignatureExpiredError     peer_signature_expired: made too long ago, or in the future
        ├── PeerSignatureReplayedError    peer_signature_replayed
        └── PeerDigestMismatchError       peer_digest_mismatch: another body than the signed one

What the gate remembers is lost with the process; so it refuses what was signed before it began.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import quote

import httpx
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureComponentResolver,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
)

from ledger.encoding import encode_base64
from ledger.note import ED25519, Signer, SigningKey, VerifierKey, sign_detached, verify_detached
from node.errors import NodeError

LABEL: Final = "suyuan"  # of the signature among others that a proxy may add; not signed
TAG: Final = "suyuan/v1"  # signed: no signature made for another purpose passes here
COMPONENTS: Final = ('"@method"', '"@authority"', '"@path"', '"@query"', '"content-digest"')  # RFC 9421 section 2
PARAMETERS: Final = frozenset({"created", "keyid", "alg", "nonce", "tag"})

WINDOW_SECONDS: Final = 60  # what clocks of departments may differ by, and a request may take
NONCES_MAX: Final = 20_000  # of one peer: 330 requests a second throughout the window, about 3.5 MB
URL_CHARACTERS_MAX: Final = 8_192  # as common servers limit a request line
HEADERS_MAX: Final = 100  # header lines of a request
HEADER_CHARACTERS_MAX: Final = 16_384  # all header lines together
FIELD_CHARACTERS_MAX: Final = 1_024  # each of the three fields above; ours have about 300

_REQUIRED = frozenset(COMPONENTS)
_NONCE = re.compile(r"[A-Za-z0-9_-]{22,64}")  # 16 bytes or more in base64url
_DIGEST_EMPTY = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"  # RFC 9530 appendix D
_HOST_NONE = "host.invalid"  # where a request names no host; RFC 2606 keeps the name unused
_PROBLEM_CHARACTERS_MAX = 200

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
Authority: TypeAlias = str | Callable[[], str | None] | None


class PeerAuthError(NodeError):
    """The request is not from the peer that it names, or cannot be shown to be."""

    code = "peer_auth"
    hint = "peers sign their requests with the transport key that the network document gives: see docs/protocol.md"


class PeerSignatureMissingError(PeerAuthError):
    """A request without a signature where only members are served."""

    code = "peer_signature_missing"
    hint = "sign the request with the transport key, or present a bearer token if you are the department's own client"


class PeerSignatureMalformedError(PeerAuthError):
    """Headers that are not a signature of the form that the protocol gives it."""

    code = "peer_signature_malformed"


class PeerSignatureIncompleteError(PeerAuthError):
    """A signature that leaves a part of the request open to change."""

    code = "peer_signature_incomplete"
    hint = f"cover {' '.join(COMPONENTS)}"


class PeerUnknownError(PeerAuthError):
    """A signature in the name of an origin that is no member here."""

    code = "peer_unknown"
    hint = "both nodes must act under a network document that lists the peer: suyuan network show"


class PeerSignatureInvalidError(PeerAuthError):
    """A signature that the named member's transport key did not make of this request."""

    code = "peer_signature_invalid"
    hint = "compare the peer's transport key with the network document; a proxy must not change method, path or query"


class PeerWrongAuthorityError(PeerAuthError):
    """A request that was signed for another host than this one."""

    code = "peer_wrong_authority"
    hint = "peers must use the URL that the network document gives for this node, host and port included"


class PeerSignatureExpiredError(PeerAuthError):
    """A request that was signed too long ago, or in the future."""

    code = "peer_signature_expired"
    hint = "compare both clocks (chronyc tracking), and sign each request anew"


class PeerSignatureReplayedError(PeerAuthError):
    """A request that was served already."""

    code = "peer_signature_replayed"
    hint = "sign each request anew, with a nonce of its own, also when it is only repeated"


class PeerDigestMismatchError(PeerAuthError):
    """A body that is not the one that was signed."""

    code = "peer_digest_mismatch"
    hint = "send Content-Digest with the sha-256 of the body as it travels, also of an empty one (RFC 9530)"


class _WrongSignatureError(InvalidSignature):
    """The key is known and did not make the signature; the library lets its own exceptions through unchanged."""


class _UnknownKeyError(InvalidSignature):
    """No key is known under the key ID."""


class NoteEd25519(HTTPSignatureAlgorithm):
    """Ed25519 (RFC 9421 section 3.3.6) over the one place of this project that signs; keys are raw bytes."""

    algorithm_id = "ed25519"

    def __init__(self, public_key: bytes | None = None, private_key: bytes | None = None) -> None:
        self._public_key = public_key  # 32 bytes
        self._secret_key = private_key  # 64 bytes

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        assert self._secret_key is not None
        return sign_detached(self._secret_key, message)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise unless the key made the signature."""
        assert self._public_key is not None
        if not verify_detached(self._public_key, message, signature):
            raise _WrongSignatureError("the key did not make this signature")


class PeerAuth(httpx.Auth):
    """Signs every request of an httpx client, synchronous or not, in the name of ``origin``."""

    requires_request_body = True

    def __init__(
        self, key: Callable[[], SigningKey], *, origin: str, clock: Callable[[], int], nonce: Callable[[], str]
    ) -> None:
        """Sign with the transport key that ``key`` gives.

        ``clock`` gives milliseconds since 1970, ``nonce`` 22 to 64 random characters of base64url.
        """
        self._key = key
        self._origin = origin
        self._clock = clock
        self._nonce = nonce
        self._signer = HTTPMessageSigner(signature_algorithm=NoteEd25519, component_resolver_class=_Resolver)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request; whatever it was signed with before is replaced, so that it may be sent again.

        Raises:
            PeerSignatureMalformedError: the URL has characters that must be percent-encoded.
            SignerError: the transport key is elsewhere, and does not sign now.
        """
        self._sign(request)
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign as :meth:`auth_flow`; a key that is elsewhere makes nobody else wait."""
        await request.aread()
        if isinstance(self._key(), Signer):
            self._sign(request)
        else:
            await asyncio.to_thread(self._sign, request)
        yield request

    def _sign(self, request: httpx.Request) -> None:
        nonce = self._nonce()
        assert _NONCE.fullmatch(nonce) is not None
        host = request.headers["Host"]
        message = _Message(
            method=request.method,
            url=f"{request.url.scheme}://{host}{request.url.raw_path.decode('ascii')}",
            headers={"content-digest": content_digest(request.content)},
            authority=host.lower(),
        )
        try:
            prepared = self._signer.prepare(
                message,
                key_id=self._origin,
                created=datetime.fromtimestamp(self._clock() // 1000, UTC),
                nonce=nonce,
                label=LABEL,
                tag=TAG,
                covered_component_ids=COMPONENTS,
                use_existing_digest=True,
            )
        except HTTPMessageSignaturesException as error:
            raise PeerSignatureMalformedError(f"cannot be signed: {error}", field=str(request.url)) from None
        key = self._key()
        assert key.algorithm == ED25519
        signature = encode_base64(key.sign_bytes(prepared.signature_base))
        request.headers["Content-Digest"] = message.headers["content-digest"]
        request.headers["Signature-Input"] = f"{LABEL}={prepared.signature_params}"
        request.headers["Signature"] = f"{LABEL}=:{signature}:"


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
            signature_algorithm=NoteEd25519, key_resolver=_Keys(key_of), component_resolver_class=_Resolver
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
        result = self._signature(_Message(method=method, url=url, headers=fields, authority=own))
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

    def _signature(self, message: "_Message") -> VerifyResult:
        """Return the one signature of ours, verified as far as the library does: form, algorithm, key, signature."""
        try:
            return self._verifier.ours(message)
        except _WrongSignatureError:
            pass
        except _UnknownKeyError as error:
            raise PeerUnknownError(f"{error} is no member that may ask here", field="keyid") from None
        except HTTPMessageSignaturesException as error:
            raise PeerSignatureMalformedError(_cut(str(error)), field="signature-input") from None
        named = authority_of(message.url)
        if named != message.authority and self._verifier.accepts(replace(message, authority=named)):
            raise PeerWrongAuthorityError(f"the request was signed for {named}, and this node is {message.authority}")
        raise PeerSignatureInvalidError("the key of this peer did not sign this request", field="signature")

    def _use(self, origin: str, nonce: str, created: int) -> None:
        """Check the moment (in seconds) and that the nonce is new, and remember it."""
        if _NONCE.fullmatch(nonce) is None:
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


def authority_of(url: str) -> str:
    """Return host and port of an absolute URL, in lower case without a default port (RFC 9421 section 2.2.3).

    Raises:
        PeerSignatureMalformedError: not an absolute URL.
    """
    try:
        authority = httpx.URL(url).netloc.decode("ascii")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise PeerSignatureMalformedError(_cut(str(error)), field="url") from None
    if not authority:
        raise PeerSignatureMalformedError("the URL names no host", field="url")
    return authority


def url_of(scope: Mapping[str, Any]) -> str:
    """Return the absolute URL of an ASGI request, path and query as they came (Starlette's ``request.url`` decodes)."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), _HOST_NONE)
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope.get("query_string", b"")
    target = raw_path + b"?" + query if query else raw_path
    return f"{scope.get('scheme', 'http')}://{host}{target.decode('latin-1')}"


def content_digest(body: bytes) -> str:
    """Return the one spelling of Content-Digest that is used between peers (RFC 9530 section 2)."""
    if not body:
        return _DIGEST_EMPTY
    return f"sha-256=:{encode_base64(hashlib.sha256(body).digest())}:"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A request in the form that the library reads."""

    method: str
    url: str
    headers: dict[str, str]  # by lower-case name, lines of one name joined (RFC 9421 section 2.1)
    authority: str


class _Resolver(HTTPSignatureComponentResolver):
    """Takes @authority from what is known, not from what the request says."""

    derived_component_resolvers: ClassVar[dict[str, Callable[..., str]]] = {
        **HTTPSignatureComponentResolver.derived_component_resolvers,
        "@authority": lambda resolver: resolver.message.authority,
    }


class _Keys(HTTPSignatureKeyResolver):
    """Finds the public key of a member."""

    def __init__(self, key_of: Callable[[str], VerifierKey | None]) -> None:
        self._key_of = key_of

    def resolve_public_key(self, key_id: str) -> bytes:
        key = self._key_of(key_id)
        if key is None:
            raise _UnknownKeyError(_cut(key_id))
        assert key.algorithm == ED25519
        return key.public_key


class _Verifier(HTTPMessageVerifier):
    """The library's verifier, but for the clock, which it reads itself."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Leave the time to the gate, whose clock is an argument."""

    def ours(self, message: _Message) -> VerifyResult:
        (result,) = self.verify(message, max_age=None, expect_tag=TAG, expect_label=LABEL)
        return result

    def accepts(self, message: _Message) -> bool:
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


def _cut(text: str) -> str:
    """Return hostile text in a form that fits into a message and a log line."""
    return repr(text[:_PROBLEM_CHARACTERS_MAX])[1:-1]
