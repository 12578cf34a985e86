"""Where a signing key lives: the key URIs of the settings, and the one place that knows their schemes.

    file:keys/log.key      a secret file, relative to the node's folder; its followers are log.2.key, log.3.key, …
    env:SUYUAN_KEY_LOG     secret keys in a variable of the environment, white space between two of them
    exec:softhsm-signer    another process signs; the secret key never comes near the node

A further scheme (``pkcs11:``, ``agent:``) is a function in ``SCHEMES`` that returns :class:`ledger.note.SigningKey`
objects; nothing else in the node asks where a key is.

The process of ``exec:`` is started without a shell, in the node's folder, and gets one request after the other on
standard input, each one line of ASCII; it answers each with one line on standard output, and may speak on standard
error:

    keys                                    →  keys VKEY [VKEY …]
    sign KEYID base64(message)              →  signature base64(64 bytes)        KEYID: 8 hex digits of the vkey
                                            →  error WORDS                        to any request that it refuses

Its end of input is its sign to end. Every signature is verified before it is used. A process that dies, says something
else, or takes too long is ended, and started again with the next request.
"""

import atexit
import os
import re
import select
import shlex
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock as Mutex
from typing import Final

from ledger.encoding import encode_base64, parse_base64
from ledger.errors import LedgerError
from ledger.note import Signer, SigningKey, VerifierKey, parse_skey, parse_vkey, verify_detached
from node.errors import ConfigError, SignerError
from node.keyfile import PASSPHRASE_VARIABLE, Lock, read_secret

ANSWER_BYTES_MAX = 64 * 1024  # a hundred vkeys
ANSWER_SECONDS_MAX = 10.0  # a device that signs needs milliseconds
END_SECONDS_MAX = 2.0
WORDS_CHARACTERS_MAX = 200  # of the process's own words
KEY_SUFFIX: Final = ".key"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30}):(.*)", re.DOTALL)
_NUMBER = r"(?:\.(?P<number>[2-9]|[1-9][0-9]{1,3}))?"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: the rest of the URI, the node's folder, and what opens closed files."""

    rest: str
    folder: Path
    lock: Lock | None = None


def load_signers(uri: str, folder: Path, lock: Lock | None = None) -> tuple[SigningKey, ...]:
    """Return the signing keys at a key URI, oldest first.

    Raises:
        ConfigError: an unknown scheme, or no keys there; neither the URI nor what is there is shown.
        SignerError: the process that has them does not answer.
    """
    match = _SCHEME.fullmatch(uri)
    if match is None or match[1] not in SCHEMES:
        known = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        words = f"without a scheme it is no place for a key (known: {known})"
        if match is not None:
            words = f"{match[1]}: is no place for a key (known: {known})"
        raise ConfigError(words, hint="write it as file:keys/log.key")
    return SCHEMES[match[1]](Place(match[2], folder, lock))


def numbered_files(path: Path) -> list[tuple[int, Path]]:
    """Return the secret file ``path`` and its followers with their numbers: of log.key 1, of log.2.key 2."""
    form = re.compile(re.escape(path.name.removesuffix(KEY_SUFFIX)) + _NUMBER + re.escape(KEY_SUFFIX))
    try:
        names = [name for name in os.listdir(path.parent) if form.fullmatch(name)]  # noqa: PTH208 - names are wanted
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path.parent)) from None
    found = [(int(match["number"] or 1), path.parent / name) for name in names if (match := form.fullmatch(name))]
    return sorted(found) or [(1, path)]  # reading it will say that it is missing


def next_file(path: Path) -> Path:
    """Return where the follower of ``path`` and of all its followers goes."""
    number = numbered_files(path)[-1][0] + 1
    return path.with_name(f"{path.name.removesuffix(KEY_SUFFIX)}.{number}{KEY_SUFFIX}")


def read_signer(path: Path, lock: Lock | None = None) -> Signer:
    """Return the signer key in a secret file.

    Raises:
        ConfigError: the file is missing, readable by others, does not open, or holds no signer key.
    """
    return _parsed(read_secret(path, lock), str(path), f"{path.name} holds no signer key")


def _from_files(place: Place) -> tuple[SigningKey, ...]:
    path = place.folder / place.rest
    if path.suffix != KEY_SUFFIX:
        raise ConfigError(f"the name of a key file ends with {KEY_SUFFIX}", field=str(path))
    return tuple(read_signer(file, place.lock) for _, file in numbered_files(path))


def _from_environment(place: Place) -> tuple[SigningKey, ...]:
    texts = os.environ.get(place.rest, "").split()
    if not texts:
        raise ConfigError("there is no key in this variable of the environment", field=place.rest[:80])
    return tuple(_parsed(text, place.rest, "this variable holds no signer key") for text in texts)


def _from_command(place: Place) -> tuple[SigningKey, ...]:
    process = _process(place.rest, place.folder)
    return tuple(CommandSigner(key, process) for key in process.list_keys())


SCHEMES: Final[Mapping[str, Callable[[Place], tuple[SigningKey, ...]]]] = {
    "file": _from_files,
    "env": _from_environment,
    "exec": _from_command,
}


def _parsed(text: str, field: str, problem: str) -> Signer:
    try:
        return parse_skey(text)
    except LedgerError as error:
        raise ConfigError(f"{problem}: {error.message}", field=field) from None


class CommandSigner(SigningKey):
    """A key that another process has."""

    __slots__ = ("_process", "algorithm", "name", "verifier")

    def __init__(self, verifier: VerifierKey, process: "CommandProcess") -> None:
        self.verifier = verifier
        self.name = verifier.name
        self.algorithm = verifier.algorithm
        self._process = process

    def sign_bytes(self, message: bytes) -> bytes:
        """Return the signature that the process makes, verified.

        Raises:
            SignerError: it makes none, or a wrong one.
        """
        answer = self._process.ask(f"sign {self.verifier.key_id.hex()} {encode_base64(message)}", "signature")
        try:
            signature = parse_base64(answer)
        except LedgerError:
            signature = b""
        if not verify_detached(self.verifier.public_key, message, signature):
            raise SignerError("the process answered with a signature that is not by its key", field=self.name)
        return signature


@dataclass(slots=True, eq=False)
class CommandProcess:
    """One process that signs; requests wait for each other."""

    command: str
    folder: Path
    _running: "subprocess.Popen[bytes] | None" = None
    _mutex: Mutex = field(default_factory=Mutex)

    def list_keys(self) -> tuple[VerifierKey, ...]:
        """Return the keys that it has.

        Raises:
            SignerError: it has none, or does not tell.
        """
        answer = self.ask("keys", "keys")
        try:
            return tuple(parse_vkey(text) for text in answer.split(" "))
        except LedgerError as error:
            raise SignerError(f"the process names no keys: {error.message}", field=self._shown) from None

    def ask(self, request: str, kind: str) -> str:
        """Return what the process answers behind the word ``kind``.

        Raises:
            SignerError: it cannot be started, refuses, or does not answer as it should.
        """
        with self._mutex:
            try:
                answer = self._exchange(request)
            except (OSError, ValueError) as error:
                self._end()
                raise SignerError(f"the signing process failed: {error}", field=self._shown) from None
        word, _, rest = answer.partition(" ")
        if word == "error":
            raise SignerError(
                f"the signing process refuses: {repr(rest[:WORDS_CHARACTERS_MAX])[1:-1]}", field=self._shown
            )
        if word != kind:
            raise SignerError("the signing process answered something else", field=self._shown)
        return rest

    def close(self) -> None:
        """End the process."""
        with self._mutex:
            self._end()

    @property
    def _shown(self) -> str:
        return f"exec:{self.command[:80]}"

    def _exchange(self, request: str) -> str:
        if self._running is None or self._running.poll() is not None:
            self._end()
            self._running = subprocess.Popen(  # noqa: S603 - the operator's own command, without a shell
                shlex.split(self.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self.folder,
                env={name: value for name, value in os.environ.items() if name != PASSPHRASE_VARIABLE},
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for the node, which signs a last checkpoint before it ends
            )
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{request}\n".encode("ascii"))
        return _line(self._running.stdout.fileno())

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        for pipe in (running.stdin, running.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            running.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _line(descriptor: int) -> str:
    """Return the next line of a pipe.

    Raises:
        OSError, ValueError: none comes in time, or one that is too long or no ASCII.
    """
    answer = bytearray()
    while not answer.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], ANSWER_SECONDS_MAX)
        if not ready:
            raise TimeoutError(f"no answer within {ANSWER_SECONDS_MAX:g} s")
        part = os.read(descriptor, ANSWER_BYTES_MAX)
        if not part:
            raise ConnectionError("it has ended")
        answer += part
        if len(answer) > ANSWER_BYTES_MAX:
            raise ValueError("the answer is too long")
    return answer[:-1].decode("ascii")


_processes: list[CommandProcess] = []


@cache
def _process(command: str, folder: Path) -> CommandProcess:
    """Return the one process of a command: a key ring that is loaded again goes on with it."""
    process = CommandProcess(command, folder)
    _processes.append(process)
    return process


@atexit.register
def close_processes() -> None:
    """End all signing processes; they are started again when they are needed."""
    for process in _processes:
        process.close()
