"""The one place where errors become words and exit codes.

Every error is told as ``error:`` and ``hint:`` on standard error. One that nobody has thought of is a fault of this
software, and says so; its traceback is shown only when asked for.
"""

import difflib
import re
import traceback
from collections.abc import Callable, Mapping, Sequence

import click

from cli import exits, output
from cli.command import HelpWantedError, UnknownCommandError, UnknownNameError
from cli.language import _, detail, noted, title_of
from ledger.errors import LedgerError

DEBUG_VARIABLE = "SUYUAN_DEBUG"
CLICK_SENTENCES = (
    (r"Got unexpected extra arguments? \((?P<arguments>.*)\)", noted("there are arguments too many: {arguments}")),
    (r"'(?P<value>.*)' is not one of (?P<choices>.*)\.", noted("{value} is not one of {choices}")),
    (r"(?:File|Directory|Path) '(?P<path>.*)' does not exist\.", noted("{path} does not exist")),
    (r"File '(?P<path>.*)' is a directory\.", noted("{path} is a folder, not a file")),
    (r"Directory '(?P<path>.*)' is a file\.", noted("{path} is a file, not a folder")),
    (r"'(?P<value>.*)' is not a valid UUID\.", noted("{value} is no UUID")),
    (r"'(?P<value>.*)' is not a valid .*\.", noted("{value} is no number")),
    (r"(?P<value>.*) is not in the range (?P<range>.*)\.", noted("{value} is not in the range {range}")),
)


def guarded(run: Callable[[], object], *, debug: bool) -> int:
    """Do ``run``, and return the exit code: what it returned, or what its error means."""
    code = _ended(run, debug=debug)
    output.settle()
    return code


def _ended(run: Callable[[], object], *, debug: bool) -> int:
    try:
        result = run()
        output.flush()
    except (BrokenPipeError, exits.ReaderGoneError):
        return exits.PIPE_CLOSED
    except (click.Abort, KeyboardInterrupt, EOFError):
        output.note(_("interrupted"))
        return exits.INTERRUPTED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else exits.OK
    except Exception as error:  # noqa: BLE001 - the boundary
        if debug:
            output.note(traceback.format_exc())
        return report(error)
    return result if isinstance(result, int) else exits.OK


def report(error: Exception) -> int:
    """Tell of an error; return its exit code."""
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    if isinstance(error, LedgerError):
        return _report_known(error)
    output.error(
        _("an unexpected fault of this software: {kind}: {detail}", kind=type(error).__name__, detail=str(error)[:500])
    )
    output.hint(_("please report it, with what the same command prints with --debug and with suyuan --version"))
    return exits.BUG


def wants_debug(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether tracebacks are to be shown."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--debug" in before or environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}


def told(error: LedgerError) -> str:
    """Return an error as one line: what it means, where, and its code."""
    title = title_of(error.code)
    return f"{title} [{error.code}] {detail(str(error))}" if title else f"{error} [{error.code}]"


def _report_known(error: LedgerError) -> int:
    output.error(told(error))
    if error.hint:
        output.hint(_(error.hint))
    return exits.exit_code(error)


def _report_usage(error: click.ClickException) -> int:
    if isinstance(error, HelpWantedError):
        output.note(error.message)
        return exits.USAGE
    output.error(_usage_words(error))
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    close = _close_names(error)
    if close:
        output.hint(_("did you mean {names}?", names=", ".join(close)))
    elif ctx is not None:
        output.hint(_("{command} --help says how", command=ctx.command_path))
    return exits.USAGE


def _usage_words(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        return _("there is no option {name}", name=error.option_name)
    if isinstance(error, click.MissingParameter):
        return _("{name} is missing", name=_parameter(error))
    if isinstance(error, click.BadOptionUsage):
        return _("{name} takes a value", name=error.option_name)
    if isinstance(error, click.BadParameter):
        name = _parameter(error)
        return f"{name}: {_own_words(error.message)}" if name else _own_words(error.message)
    return _own_words(error.format_message())


def _own_words(message: str) -> str:
    """Return what click says in our words, and so in the reader's language; any other sentence as it is."""
    for pattern, words in CLICK_SENTENCES:
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match is not None:
            return _(words, **match.groupdict())
    return message


def _parameter(error: click.BadParameter) -> str:
    if error.param is None:
        return error.param_hint if isinstance(error.param_hint, str) else ""
    return (
        error.param.opts[-1]
        if isinstance(error.param, click.Option)
        else error.param.make_metavar(error.ctx or _nowhere())
    )


def _nowhere() -> click.Context:
    return click.Context(click.Command("suyuan"))


def _close_names(error: click.ClickException) -> list[str]:
    if isinstance(error, click.NoSuchOption):
        return sorted(error.possibilities or ())
    if isinstance(error, UnknownNameError):
        return list(error.near)
    if isinstance(error, UnknownCommandError):
        return difflib.get_close_matches(error.name, error.known)
    return []
