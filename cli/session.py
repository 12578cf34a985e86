"""Which node a command asks, with which token, and what its answers are verified against.

``--config DIR`` names a node's folder: the address, the network document and the fingerprint follow from its
settings. ``--url``, ``--network`` and ``--fingerprint`` say each of them by itself, and win.
"""

import functools
import ipaddress
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

import click

from cli import output
from cli.command import option
from cli.files import read_file
from cli.language import _, detail, names_of, noted
from cli.options import CONFIG, FILE, fingerprint_option, network_option
from cli.unlocking import home_of
from ledger.errors import LedgerError

if TYPE_CHECKING:
    import ssl

    from ledger.network import Network
    from node.client import Client
    from node.config import Home, Settings


class Target(NamedTuple):
    """What the options said."""

    config: Path | None = None
    url: str | None = None
    token: str | None = None
    token_file: Path | None = None
    ca: Path | None = None
    timeout: float | None = None
    network: Path | None = None
    fingerprint: str | None = None


class Trust(NamedTuple):
    """What verification begins with: the pinned fingerprint, and the network document that leads back to it."""

    fingerprint: str
    network: "Network"


_ABSENT = {
    "suspended": noted("{log} takes no part: its membership is suspended"),
    "ended": noted("{log} takes no part: its membership has ended"),
}


class Session:
    """A command's dealings with one node; ``with`` closes the connections."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections, if any were made."""
        client: Client | None = self.__dict__.get("client")
        if client is not None:
            client.close()

    @cached_property
    def home(self) -> "Home | None":
        """The node's folder, where ``--config`` names it."""
        return home_of(self._target.config) if self._target.config is not None else None

    @property
    def names_url(self) -> bool:
        """Whether the node's address was given by itself, and so may be that of another node than the folder's."""
        return self._target.url is not None

    @cached_property
    def url(self) -> str:
        """The node's address.

        Raises:
            click.UsageError: nothing says it.
        """
        if self._target.url is not None:
            return self._target.url
        if self.home is not None:
            return url_of(self.home.settings)
        raise click.UsageError(
            _("which node? Give --url, or --config with the node's folder"), click.get_current_context(silent=True)
        )

    @cached_property
    def client(self) -> "Client":
        """The client of the node."""
        from node.client import TIMEOUT_SECONDS, Client, is_loopback  # noqa: PLC0415 - httpx is slow to import

        token = self._token()
        if token is not None and self.url.startswith("http:") and not is_loopback(self.url):
            raise click.UsageError(_("a token is not sent unencrypted to another machine: use https"))
        home = self.home if not self.names_url else None
        return Client(
            self.url,
            token,
            timeout=self._target.timeout or TIMEOUT_SECONDS,
            verify=self._authority(),
            other_name=functools.partial(host_of, home) if home is not None else None,
        )

    @cached_property
    def fingerprint(self) -> str | None:
        """The pinned fingerprint, where one is given."""
        if self._target.fingerprint is not None:
            return self._target.fingerprint
        return self.home.settings.fingerprint if self.home is not None else None

    def require_fingerprint(self) -> str:
        """Return the pinned fingerprint.

        Raises:
            click.UsageError: nothing says it, so nothing could be verified.
        """
        if self.fingerprint is None:
            raise click.UsageError(
                _("verified against which network? Give --fingerprint, or --config with a node that has joined one")
            )
        return self.fingerprint

    @cached_property
    def given_network(self) -> "Network | None":
        """The network document of ``--network`` or ``--config``, verified back to the fingerprint."""
        from ledger.versions import verify_chain  # noqa: PLC0415 - pydantic is slow to import

        path = self._target.network or (self.home.network if self.home is not None else None)
        if path is None or self.fingerprint is None:
            return None
        return verify_chain(read_file(path), self.fingerprint)

    @cached_property
    def trust(self) -> Trust:
        """What answers are verified against; a document that the node gives must lead back to the fingerprint."""
        from ledger.versions import verify_chain  # noqa: PLC0415 - as above

        fingerprint = self.require_fingerprint()
        network = self.given_network or verify_chain(self.client.network(), fingerprint)
        return Trust(fingerprint, network)

    def names(self) -> dict[str, str]:
        """Return the members' names by log, for display: unverified where no fingerprint is known, else verified."""
        try:
            return names_of(self.trust.network if self.fingerprint else self._told_network())
        except LedgerError:
            return {}

    def alarms(self) -> dict[str, str]:
        """Return what the node says against logs, by log; nothing where it does not tell."""
        try:
            told = self.client.health()["alarms"]
            return {str(one["log"]): str(one["alarm"]) for one in told}
        except (LedgerError, KeyError, TypeError):
            return {}

    def tell_alarms(self, logs: Iterable[str]) -> bool:
        """Say which of these logs are in doubt, and why; tell whether one is."""
        alarms = self.alarms()
        doubted = [log for log in dict.fromkeys(logs) if log in alarms]
        for log in doubted:
            output.note(_("An integrity alarm is raised about {log}: {alarm}", log=log, alarm=detail(alarms[log])))
        return bool(doubted)

    def tell_absent(self) -> None:
        """Say which members take no part."""
        try:
            network = self.trust.network if self.fingerprint else self._told_network()
        except LedgerError:
            return
        for log, member in network.members.items():
            if not member.active:
                output.note(_(_ABSENT[member.entry.status], log=log))

    def _told_network(self) -> "Network":
        from ledger.network import parse_network  # noqa: PLC0415 - as above
        from ledger.versions import split_versions  # noqa: PLC0415 - as above

        return parse_network(split_versions(self.client.network())[-1])

    def _token(self) -> str | None:
        if self._target.token is not None:
            return self._target.token.strip()
        if self._target.token_file is None:
            return None
        from node.keyfile import read_secret  # noqa: PLC0415 - nacl is slow to import

        return read_secret(self._target.token_file)

    def _authority(self) -> "ssl.SSLContext | None":
        authority = self._target.ca
        if (
            authority is None
            and self._target.url is None
            and self.home is not None
            and self.home.settings.peer_ca is not None
        ):
            authority = self.home.path(self.home.settings.peer_ca)
        if authority is None:
            return None
        import ssl  # noqa: PLC0415 - only where it is needed

        try:
            return ssl.create_default_context(cafile=str(authority))
        except (OSError, ssl.SSLError) as error:
            raise click.UsageError(
                _("{path} holds no certificates: {problem}", path=authority, problem=error)
            ) from None


def url_of(settings: "Settings") -> str:
    """Return the address at which a node of these settings answers on its own machine."""
    host = settings.host
    if host != "localhost":
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - IPv4
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
    scheme = "https" if settings.tls_certificate is not None else "http"
    return f"{scheme}://{host}:{settings.port}"


def host_of(home: "Home") -> str | None:
    """Return the host name at which the others reach the node of a folder; None where the folder does not tell.

    That is the name of its certificate; on its own machine it is asked by its address.
    """
    from ledger.network import parse_network  # noqa: PLC0415 - pydantic is slow to import
    from ledger.versions import split_versions  # noqa: PLC0415 - as above

    try:
        newest = parse_network(split_versions(home.network.read_bytes())[-1])
        return urlsplit(newest.member(home.settings.origin).url).hostname
    except (LedgerError, OSError):
        return None


_TARGET = (
    option(
        "--config",
        type=CONFIG,
        envvar="SUYUAN_CONFIG",
        help=noted("The node's folder: its address, network and fingerprint."),
    ),
    option("--url", envvar="SUYUAN_URL", help=noted("The node's address.")),
    option("--token", envvar="SUYUAN_TOKEN", help=noted("The token; others can read it in the list of processes.")),
    option(
        "--token-file",
        type=FILE,
        envvar="SUYUAN_TOKEN_FILE",
        help=noted("A file with the token, readable by you alone."),
    ),
    option("--ca", type=FILE, envvar="SUYUAN_CA", help=noted("Authority that signed the node's certificate (PEM).")),
    option(
        "--timeout", type=click.FloatRange(min=0.1, max=3600), help=noted("Longest wait for an answer, in seconds.")
    ),
)
_TRUST = (network_option, fingerprint_option)


def node_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which node it asks, and hand it the ``session`` with that node."""
    return _with_session(function, _TARGET)


def trusting_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """As :func:`node_options`, with those by which answers are verified."""
    return _with_session(function, (*_TARGET, *_TRUST))


def _with_session(function: Callable[..., Any], options: tuple[Callable[[Any], Any], ...]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        taken = {name: kwargs.pop(name) for name in Target._fields if name in kwargs}
        with Session(Target(**taken)) as session:
            return function(*args, session=session, **kwargs)

    for add in reversed(options):
        wrapped = add(wrapped)
    return wrapped
