"""A node's own certificate, seen as its peers see it: by a TLS handshake in memory, with what they trust."""

import ssl
from contextlib import suppress
from pathlib import Path

from ledger.errors import LedgerError
from node.config import Home
from node.errors import ConfigError
from node.exchange import OTHER_NAME

ENDED = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_TURNS = 10  # of both sides; TLS 1.3 takes two


class RefusedError(LedgerError):
    """Who trusts what the node trusts would refuse its certificate."""

    def __init__(self, error: ssl.SSLCertVerificationError) -> None:
        """Keep what OpenSSL says, and whether it lies in the certificate itself."""
        super().__init__(error.verify_message.rstrip("."))
        self.itself = error.verify_code in ENDED | OTHER_NAME


def valid_until(home: Home, host: str | None, trusted: ssl.SSLContext) -> int:
    """Return when the certificate of the settings ends, in milliseconds, if it is verified for ``host``.

    Raises:
        ConfigError: certificate and key cannot be used.
        RefusedError: it does not verify.
    """
    assert home.settings.tls_certificate is not None
    assert home.settings.tls_key is not None
    trusted.check_hostname = host is not None
    server = _server(home.path(home.settings.tls_certificate), home.path(home.settings.tls_key))
    try:
        return _shake_hands(server, trusted, host)
    except ssl.SSLCertVerificationError as error:
        raise RefusedError(error) from None
    except ssl.SSLError as error:
        raise ConfigError(f"no handshake is possible: {error}", field="tls_certificate") from None


def _server(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:  # ssl.SSLError is one
        words = f"the certificate {certificate} or its key {key} cannot be used: {error}"
        raise ConfigError(words, field="tls_certificate") from None
    return context


def _shake_hands(server: ssl.SSLContext, trusted: ssl.SSLContext, host: str | None) -> int:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = trusted.wrap_bio(back, there, server_hostname=host)
    node = server.wrap_bio(there, back, server_side=True)
    for _ in range(_TURNS):
        for side in (peer, node):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    ends = (peer.getpeercert() or {}).get("notAfter")
    return 1000 * int(ssl.cert_time_to_seconds(str(ends)))
