"""Signed requests between peers: HTTP Message Signatures by a member's transport key (RFC 9421, protocol section 6).

    GET /logs/3f…/checkpoint HTTP/1.1
    Host: health.ordos.example
    Content-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:
    Signature-Input: suyuan=("@method" "@authority" "@path" "@query" "content-digest");created=1795248930
        ;keyid="police.ordos.example/log";alg="ed25519";nonce="iO5cmO3h5rxcSqbGxcVTqg";tag="suyuan/v1"   (one line)
    Signature: suyuan=:XBZ6cnAFFxyt0FkFx5KL…Cg==:

:class:`PeerAuth` signs every request of an httpx client, :class:`node.gate.PeerGate` verifies on the server and names
the peer. What is signed binds the request to one receiver (@authority, which the receiver knows about itself and does
not take from the request), one resource, one body (content-digest, also of an empty body), one moment (created, in
seconds) and one use (nonce).

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
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

import httpx
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPSignatureAlgorithm,
    HTTPSignatureComponentResolver,
    InvalidSignature,
)

from ledger.encoding import encode_base64
from ledger.note import ED25519, Signer, SigningKey, sign_detached, verify_detached
from node.errors import NodeError

LABEL: Final = "suyuan"  # of the signature among others that a proxy may add; not signed
TAG: Final = "suyuan/v1"  # signed: no signature made for another purpose passes here
COMPONENTS: Final = ('"@method"', '"@authority"', '"@path"', '"@query"', '"content-digest"')  # RFC 9421 section 2
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")  # 16 bytes or more in base64url

_DIGEST_EMPTY = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"  # RFC 9530 appendix D
_PROBLEM_CHARACTERS_MAX = 200


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


class WrongSignatureError(InvalidSignature):
    """The key is known and did not make the signature; the library lets its own exceptions through unchanged."""


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
            raise WrongSignatureError("the key did not make this signature")


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
        self._signer = HTTPMessageSigner(signature_algorithm=NoteEd25519, component_resolver_class=Resolver)

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
        assert NONCE.fullmatch(nonce) is not None
        host = request.headers["Host"]
        message = Message(
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


def authority_of(url: str) -> str:
    """Return host and port of an absolute URL, in lower case without a default port (RFC 9421 section 2.2.3).

    Raises:
        PeerSignatureMalformedError: not an absolute URL.
    """
    try:
        authority = httpx.URL(url).netloc.decode("ascii")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise PeerSignatureMalformedError(shown(str(error)), field="url") from None
    if not authority:
        raise PeerSignatureMalformedError("the URL names no host", field="url")
    return authority


def content_digest(body: bytes) -> str:
    """Return the one spelling of Content-Digest that is used between peers (RFC 9530 section 2)."""
    if not body:
        return _DIGEST_EMPTY
    return f"sha-256=:{encode_base64(hashlib.sha256(body).digest())}:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request in the form that the library reads."""

    method: str
    url: str
    headers: dict[str, str]  # by lower-case name, lines of one name joined (RFC 9421 section 2.1)
    authority: str


class Resolver(HTTPSignatureComponentResolver):
    """Takes @authority from what is known, not from what the request says."""

    derived_component_resolvers: ClassVar[dict[str, Callable[..., str]]] = {
        **HTTPSignatureComponentResolver.derived_component_resolvers,
        "@authority": lambda resolver: resolver.message.authority,
    }


def shown(text: str) -> str:
    """Return hostile text in a form that fits into a message and a log line."""
    return repr(text[:_PROBLEM_CHARACTERS_MAX])[1:-1]
