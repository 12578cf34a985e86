"""The yardstick: libsodium's Ed25519 with nothing around it, in two processes that do nothing else.

The binding is called without PyNaCl's own checks and copies, on buffers that are there already: what is left is the
C function and less than a microsecond of the interpreter. Each worker takes commands on its input::

    sign 1.0        →  44123.2 0.998      signatures in a second, of texts as long as those of our entries
    verify 1.0      →  19033.7 0.997      verifications in a second

The second number is the share of a core that the worker had meanwhile: it does nothing but compute, so what is missing
went to others.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

TEXT_BYTES = 800  # an event of 600 bytes in the frame of an entry
TEXTS = 64
AT_ONCE = 50  # between two looks at the clock


class Bare:
    """Two workers, one per core."""

    def __init__(self, command: Sequence[str]) -> None:
        self._workers = [
            subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                start_new_session=True,  # a Ctrl-C is the bench's to answer, which ends its processes
            )
            for _ in range(2)
        ]
        self.shares: list[float] = []  # of a core, each time

    def sign_on_one(self, seconds: float) -> float:
        """Return signatures per second on one core."""
        return self._ask("sign", seconds, 1)

    def sign_on_two(self, seconds: float) -> float:
        """Return signatures per second on two cores."""
        return self._ask("sign", seconds, 2)

    def verify_on_one(self, seconds: float) -> float:
        """Return verifications per second on one core."""
        return self._ask("verify", seconds, 1)

    def verify_on_two(self, seconds: float) -> float:
        """Return verifications per second on two cores."""
        return self._ask("verify", seconds, 2)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()

    def _ask(self, what: str, seconds: float, cores: int) -> float:
        asked = self._workers[:cores]
        for worker in asked:
            assert worker.stdin is not None
            print(what, seconds, file=worker.stdin, flush=True)
        total = 0.0
        for worker in asked:
            assert worker.stdout is not None
            rate, share = map(float, worker.stdout.readline().split())
            total += rate
            self.shares.append(share)
        return total


def work() -> None:
    """Be a worker."""
    # The binding itself, which only this process needs.
    from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # noqa: PLC0415

    public, secret = ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")
    lib.crypto_sign_seed_keypair(public, secret, bytes(32))
    texts = [number.to_bytes(4, "big") * (TEXT_BYTES // 4) for number in range(TEXTS)]
    length, signed_bytes = ffi.new("unsigned long long *"), TEXT_BYTES + 64
    signed = [ffi.new("unsigned char[]", signed_bytes) for _ in texts]
    place = ffi.new("unsigned char[]", signed_bytes)

    def sign(number: int) -> int:
        return int(lib.crypto_sign(signed[number], length, texts[number], TEXT_BYTES, secret))

    def verify(number: int) -> int:
        return int(lib.crypto_sign_open(place, length, signed[number], signed_bytes, public))

    for number in range(TEXTS):
        sign(number)
    jobs = {"sign": sign, "verify": verify}
    for line in sys.stdin:
        name, seconds = line.split()
        print(*_rate(jobs[name], float(seconds)), flush=True)


def _rate(job: Callable[[int], int], seconds: float) -> tuple[float, float]:
    done, busy, start = 0, time.process_time(), time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for number in range(AT_ONCE):
            if job(number % TEXTS) != 0:
                raise AssertionError("libsodium refused its own signature")
        done += AT_ONCE
    return done / passed, (time.process_time() - busy) / passed
