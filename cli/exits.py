"""Exit codes: what a script learns without reading a word.

    0    it is so, it is done
    1    verification failed, or there are findings
    2    wrong use or configuration; nothing was done
    3    not found, or not there yet
    4    not authorised
    5    a node did not answer, is busy, or has no quorum
    6    integrity alarm: stored or signed data is not what it must be, or a log is proven to have told two stories,
         or the governors to have signed two versions of one number
    70   a fault of this software
    130  interrupted
    141  whoever read the output has gone before its end

*False* (1) and *could not tell* (2 to 5) never share a code. The table goes by the names of classes, so that it holds
for errors of packages which a command has not loaded; the first one in an error's ancestry counts.
"""

from typing import Final

OK: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_AUTHORISED: Final = 4
UNREACHABLE: Final = 5
INTEGRITY: Final = 6
BUG: Final = 70
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141  # as if SIGPIPE had ended it: whoever read the output has gone

BY_CLASS: Final = {
    # ledger
    "MalformedError": USAGE,
    "LimitError": USAGE,
    "EventError": USAGE,
    "VerificationError": FINDINGS,
    "StoreCorruptError": INTEGRITY,
    "StoreError": USAGE,
    "LedgerError": USAGE,
    # node
    "NotFoundError": NOT_FOUND,
    "NotConfirmedError": NOT_FOUND,
    "DigestMismatchError": FINDINGS,
    "BusyError": UNREACHABLE,
    "PeerError": UNREACHABLE,
    "IntegrityAlarm": INTEGRITY,
    "NetworkForkError": INTEGRITY,
    "TokenNotFoundError": NOT_FOUND,
    "ForbiddenError": NOT_AUTHORISED,
    "UnauthorizedError": NOT_AUTHORISED,
    # client
    "UnreachableError": UNREACHABLE,
    "BadAnswerError": UNREACHABLE,
}

BY_PROBLEM_CODE: Final = {  # what a node answers, where the status alone does not say it
    "not_confirmed": NOT_FOUND,
    "digest_mismatch": FINDINGS,
    "integrity_alarm": INTEGRITY,
    "log_frozen": INTEGRITY,
    "network_fork": INTEGRITY,
    "store_corrupt": INTEGRITY,
    "bug": BUG,
}

BY_STATUS: Final = {401: NOT_AUTHORISED, 403: NOT_AUTHORISED, 404: NOT_FOUND, 429: UNREACHABLE}
_SERVER_ERROR = 500


class ReaderGoneError(Exception):
    """Whoever read standard output has gone: the command ends with ``PIPE_CLOSED``, and says nothing."""


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error; ``BUG`` for one that nobody has thought of."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return _of_problem(str(getattr(error, "code", "")), status)
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((BY_CLASS[name] for name in names if name in BY_CLASS), BUG)


def _of_problem(code: str, status: int) -> int:
    if code in BY_PROBLEM_CODE:
        return BY_PROBLEM_CODE[code]
    return BY_STATUS.get(status, UNREACHABLE if status >= _SERVER_ERROR else USAGE)
