"""Configuration: one TOML file beside a node's keys and data; every value can be overridden by an environment variable.

    home/
      suyuan.toml      this file
      network.note     the network document        keys/      one file per key
      tokens.json      who may use the API         data/      the store
      head             the newest checkpoint that was signed

``SUYUAN_PORT=8310 suyuan run --config home/suyuan.toml`` wins over the file's ``port``; what the file writes as tables
is JSON in the environment. The logs of others that this node witnesses are tables at the end of the file::

    [[witnessed]]
    origin = "sum.golang.org"
    vkeys = ["sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"]
"""

import ipaddress
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from ledger.errors import LedgerError
from ledger.limits import ORIGIN_CHARACTERS_MAX, ORIGIN_PATTERN
from ledger.note import ED25519, check_key_name, parse_vkey
from node.errors import ConfigError
from node.keyfile import Lock, from_environment, from_file

CONFIG_NAME = "suyuan.toml"
CONFIG_BYTES_MAX = 64 * 1024
REFRESH_INTERVAL_MS_MIN = 60_000  # fresher cosignatures than that are no news to anybody (node/logs.py)
PREFIX = "SUYUAN_"  # of the variables that win over the file
TABLES = frozenset({"witnessed"})  # settings that are tables in the file, JSON in the environment
WITNESSED_MAX = 200  # foreign logs; as many as fit into the file, with room
FOREIGN_ORIGIN_CHARACTERS_MAX = 500
FOREIGN_KEYS_MAX = 16  # of one log


def _foreign_key(text: str) -> str:
    try:
        key = parse_vkey(text)
    except LedgerError as error:
        raise ValueError(error.message) from None
    if key.algorithm != ED25519:
        raise ValueError("a log's key is of type 0x01")
    return text


def _key_name(text: str) -> str:
    try:
        check_key_name(text)
    except LedgerError as error:
        raise ValueError(error.message) from None
    return text


class WitnessedLog(BaseModel):
    """A log outside of the network that this node witnesses: any C2SP log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: Annotated[
        str,
        StringConstraints(min_length=1, max_length=FOREIGN_ORIGIN_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]+$"),
    ]  # as its checkpoints begin
    vkeys: Annotated[
        tuple[Annotated[str, AfterValidator(_foreign_key)], ...], Field(min_length=1, max_length=FOREIGN_KEYS_MAX)
    ]  # any of them may sign

    @field_validator("vkeys")
    @classmethod
    def _each_once(cls, vkeys: tuple[str, ...]) -> tuple[str, ...]:
        keys = [parse_vkey(vkey) for vkey in vkeys]
        if len({(key.name, key.key_id) for key in keys}) < len(keys):
            raise ValueError("a key is there twice")
        return vkeys


class Settings(BaseModel):
    """A node's settings; paths are relative to the file's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: Annotated[
        str, Field(pattern=ORIGIN_PATTERN, max_length=ORIGIN_CHARACTERS_MAX, description="the department's log")
    ]
    host: Annotated[str, Field(description="address to listen on; loopback unless TLS is configured")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on")] = 8300
    tls_certificate: Annotated[Path | None, Field(description="certificate chain (PEM)")] = None
    tls_key: Annotated[Path | None, Field(description="private key of the certificate (PEM)")] = None
    peer_ca: Annotated[Path | None, Field(description="authority that signed the peers' certificates (PEM)")] = None
    network: Annotated[Path, Field(description="the network document")] = Path("network.note")
    fingerprint: Annotated[str | None, Field(description="the network's fingerprint, given out of band")] = None
    checkpoint_interval_ms: Annotated[
        int, Field(ge=10, le=60_000, description="least time between two checkpoints while there is news")
    ] = 200
    confirm_timeout_ms: Annotated[
        int, Field(ge=100, le=600_000, description="after that a checkpoint without quorum is superseded")
    ] = 5_000
    pull_interval_ms: Annotated[
        int, Field(ge=50, le=3_600_000, description="time between two rounds of comparing heads with peers")
    ] = 2_000
    refresh_interval_ms: Annotated[
        int,
        Field(ge=0, le=2_592_000_000, description="an idle log's checkpoint is cosigned again after so long; 0: never"),
    ] = 3_600_000
    peer_timeout_ms: Annotated[int, Field(ge=100, le=600_000, description="longest wait for a peer's answer")] = 10_000
    verify_processes: Annotated[
        int | None,
        Field(ge=0, le=256, description="processes that help while a log is far behind: one per core if not set"),
    ] = None
    sign_processes: Annotated[
        int | None,
        Field(ge=0, le=256, description="processes that sign while much is recorded: one per core if not set"),
    ] = None
    recovery_answers: Annotated[
        Literal["2f", "2f+1", "all"],
        Field(description="how many others must tell what they remember before this node writes after a start"),
    ] = "2f"
    log_key: Annotated[str | None, Field(description="where the log key is, if not in keys: file:, env: or exec:")] = (
        None
    )
    cosigner_key: Annotated[str | None, Field(description="the same of the cosigner key")] = None
    transport_key: Annotated[str | None, Field(description="the same of the transport key")] = None
    passphrase_file: Annotated[Path | None, Field(description="file with the passphrase of the keys (600)")] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="least severity that is logged")
    ] = "info"
    log_format: Annotated[Literal["console", "json"], Field(description="for a person or for a collector")] = "console"
    witness_policy: Annotated[
        Path | None, Field(description="policy (C2SP tlog-policy) whose witnesses are asked to cosign this node's log")
    ] = None
    witness_name: Annotated[
        Annotated[str, AfterValidator(_key_name)] | None,
        Field(description="name under which foreign logs are witnessed, else the department's with /witness"),
    ] = None
    witnessed: Annotated[
        tuple[WitnessedLog, ...],
        Field(max_length=WITNESSED_MAX, description="foreign logs that this node witnesses, by origin and keys"),
    ] = ()

    @field_validator("host")
    @classmethod
    def _an_address(cls, host: str) -> str:
        if host != "localhost":
            ipaddress.ip_address(host)
        return host

    @field_validator("refresh_interval_ms")
    @classmethod
    def _a_low_rate(cls, interval: int) -> int:
        if 0 < interval < REFRESH_INTERVAL_MS_MIN:
            raise ValueError(f"it is 0 or at least {REFRESH_INTERVAL_MS_MIN}")
        return interval

    @model_validator(mode="after")
    def _loopback_unless_tls(self) -> "Settings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if not self.is_loopback and self.tls_certificate is None:
            raise ValueError(
                "without TLS a node listens on loopback only: set tls_certificate and tls_key, or host to 127.0.0.1"
            )
        return self

    @field_validator("witnessed")
    @classmethod
    def _each_log_once(cls, witnessed: tuple[WitnessedLog, ...]) -> tuple[WitnessedLog, ...]:
        seen: set[str] = set()
        for one in witnessed:
            if one.origin in seen:
                raise ValueError(f"the log {one.origin} is there twice")
            seen.add(one.origin)
        return witnessed

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the node."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback


class Home:
    """A node's folder: its settings, and where everything lies."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.lock = Lock(from_environment, self._passphrase_of_file)  # opens the key files that are closed

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / CONFIG_NAME

    @property
    def keys(self) -> Path:
        """The folder of the key files."""
        return self.folder / "keys"

    @property
    def key_uris(self) -> dict[str, str]:
        """Where the keys of some roles are, if not in the folder of the key files."""
        places = {role: getattr(self.settings, f"{role}_key") for role in ("log", "cosigner", "transport")}
        return {role: uri for role, uri in places.items() if uri is not None}

    @property
    def data(self) -> Path:
        """The folder of the store."""
        return self.folder / "data"

    @property
    def head(self) -> Path:
        """The head file: the newest checkpoint that was signed."""
        return self.folder / "head"

    @property
    def tokens(self) -> Path:
        """The file of tokens."""
        return self.folder / "tokens.json"

    @property
    def network(self) -> Path:
        """The network document."""
        return self.folder / self.settings.network

    def path(self, relative: Path) -> Path:
        """Return a path of the settings, which is relative to this folder."""
        return self.folder / relative

    def _passphrase_of_file(self) -> str | None:
        path = self.settings.passphrase_file
        return from_file(self.path(path)) if path is not None else None


def load_home(config: Path) -> Home:
    """Return the home whose settings file is ``config`` (or which is the folder ``config``).

    Raises:
        ConfigError: the file is missing, no TOML, or has a value that cannot be used; the message names it.
    """
    path = config / CONFIG_NAME if config.is_dir() else config
    try:
        if path.stat().st_size > CONFIG_BYTES_MAX:
            raise ConfigError("this is no configuration", field=str(path), limit=CONFIG_BYTES_MAX)
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            field=str(path),
            hint="suyuan init makes a node's folder; give it with --config",
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"not TOML: {error}", field=str(path)) from None
    return Home(path.parent.resolve(), make_settings(values, str(path)))


def make_settings(values: dict[str, Any], source: str) -> Settings:
    """Return the settings that ``values`` and the environment give.

    Raises:
        ConfigError: the first value that cannot be used.
    """
    try:
        return Settings(**{**values, **from_environment_variables(os.environ)})
    except JsonVariableError as error:
        raise ConfigError(f"the environment cannot be read: {error}", field=source) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        unknown = first["type"] == "extra_forbidden"
        words = "there is no such setting" if unknown else first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{name}: {words}", field=source) from None


class JsonVariableError(ValueError):
    """A variable of the environment that should be JSON and is not."""


def from_environment_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that are variables of the environment, in whatever case; those that are tables as JSON.

    Raises:
        JsonVariableError: one of the latter is no JSON.
    """
    variables = {name.lower(): text for name, text in environ.items()}
    found: dict[str, Any] = {}
    for name in Settings.model_fields:
        text = variables.get(f"{PREFIX}{name}".lower())
        if text is None:
            continue
        try:
            found[name] = json.loads(text) if name in TABLES else text
        except ValueError:
            raise JsonVariableError(f"{PREFIX}{name.upper()} is not JSON") from None
    return found


def settings_toml(settings: Settings) -> str:
    """Return a settings file that says what every value means; what is not set stands as a comment."""
    lines = ["# A node of Suyuan. Paths are relative to this folder; SUYUAN_<NAME> in the environment wins.", ""]
    tables: list[str] = []  # must stand at the end: what follows a table belongs to it
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, tuple):
            tables += ["", f"# {field.description}", *_tables(name, value)]
            continue
        lines.append(f"# {field.description}")
        lines.append(f"# {name} =" if value is None else f"{name} = {_toml(value)}")
    return "\n".join((*lines, *tables)) + "\n"


def _tables(name: str, models: Sequence[BaseModel]) -> list[str]:
    lines = [] if models else [f"# [[{name}]]"]
    for model in models:
        lines.append(f"[[{name}]]")
        lines += [f"{member} = {_toml(value)}" for member, value in model]
    return lines


def _toml(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # a JSON string is one of TOML
