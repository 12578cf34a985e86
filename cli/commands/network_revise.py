r"""``suyuan network revise``: the draft of the next version, with any mix of changes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file, write_file
from cli.language import _, noted
from cli.options import FILE, NEW_FILE, json_option

if TYPE_CHECKING:
    from cli.revision import Revision

_RULING = ("size", "root", "key")


class FaultsType(click.IntRange):
    """A number, or ``default``."""

    name = "n|default"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the word as it is."""
        return value if value == "default" else super().convert(value, param, ctx)


def _many(name: str, variable: str, help_text: str, **attributes: Any) -> Callable[[Any], Any]:
    return option(name, variable, multiple=True, help=help_text, **attributes)


@click.command("revise", cls=Command)
@click.argument("network", metavar="NETWORK.note", type=FILE)
@_many("--add", "added", noted("New member: what suyuan init has written."), type=FILE, metavar="MEMBER.json")
@_many("--replace", "replaced", noted("New keys, names or address of a member."), type=FILE, metavar="MEMBER.json")
@_many("--suspend", "suspended", noted("Stop a member for a time."), metavar="ORIGIN")
@_many("--resume", "resumed", noted("Make a suspended member active again."), metavar="ORIGIN")
@_many("--end", "ended", noted("End a membership for good."), metavar="ORIGIN")
@_many("--url", "moved", noted("A member's new address."), metavar="ORIGIN=URL")
@option(
    "--readmit", metavar="ORIGIN", help=noted("Let a log go on that has told two stories: with --at, --root, --key.")
)
@option("--at", "size", type=click.IntRange(min=1), help=noted("Up to this size its history stands."))
@option("--root", metavar="BASE64", help=noted("Root of the history that stands."))
@option("--key", metavar="VKEY|FILE", help=noted("The new log key, from that size on."))
@_many("--add-governor", "governors", noted("New governor: public key, or the file of a key."), metavar="VKEY|FILE")
@_many("--remove-governor", "removed", noted("Governor who leaves: name, or public key."), metavar="NAME|VKEY")
@option("--threshold", type=click.IntRange(min=1), help=noted("How many governors must sign from then on."))
@option("--faults", type=FaultsType(min=0), help=noted("How many members may fail or lie; default: less than a third."))
@option(
    "--access", type=click.Choice(("members", "open")), help=noted("Who may read the logs: the members, or anyone.")
)
@option("--rules", help=noted("Table of rules and time limits."))
@option("--out", type=NEW_FILE, help=noted("The draft; else beside the signed document, FILE.draft."))
@json_option
def command(*, network: Path, out: Path | None, as_json: bool, **asked: Any) -> None:
    r"""Draft the next version of a network from the newest signed one, with any mix of changes.

    What changes is told in words, and what is risky about it. Nothing counts before enough governors have signed, of
    the version before and of the new one.

    \b
    suyuan network revise network.note --add health/member.json
    suyuan network revise network.note --suspend tax.ordos.example/log
    suyuan network revise network.note --url tax.ordos.example/log=https://tax.ordos.example:8300
    suyuan network revise network.note --add-governor governor-3.key --threshold 2
    suyuan network revise network.note --remove-governor ordos/governor-1 --add-governor new.key
    suyuan network revise network.note --readmit tax.ordos.example/log --at 4711 --root BASE64 --key VKEY
    """
    from cli import network_changes, revision  # noqa: PLC0415 - slow to import

    _check_ruling(asked)
    versions = revision.newest_signed(read_file(network))
    target = revision.draft_path(network, out, versions)
    newest = versions[-1]
    made = revision.Revision(newest)
    _apply(made, asked)
    draft = made.draft()
    write_file(target, draft.text.encode())
    found = network_changes.compare(newest, draft.network)
    if as_json:
        output.emit(network_changes.to_json(found))
    else:
        output.data(str(target))
        network_changes.tell(found)
    output.note(_("Next: the governors sign it: suyuan network sign {draft} --key FILE --out {network}",
                  draft=target, network=network))  # fmt: skip


def _check_ruling(asked: dict[str, Any]) -> None:
    given = [asked[name] is not None for name in _RULING]
    if any(given) != (asked["readmit"] is not None) or any(given) != all(given):
        raise click.UsageError(_("--readmit, --at, --root and --key belong together"))


def _apply(made: "Revision", asked: dict[str, Any]) -> None:
    from cli.drafts import read_member  # noqa: PLC0415 - slow to import
    from cli.revision import read_governor  # noqa: PLC0415 - as above

    for change, origins in ((made.suspend, "suspended"), (made.resume, "resumed"), (made.end, "ended")):
        for origin in asked[origins]:
            change(origin)
    if asked["readmit"] is not None:
        key = read_governor(asked["key"]).vkey
        made.readmit(asked["readmit"], size=asked["size"], root=asked["root"], key=key)
    for move in asked["moved"]:
        origin, equals, url = move.partition("=")
        if not equals:
            raise click.UsageError(_("{value} is no new address: write it as ORIGIN=URL", value=move))
        made.move(origin, url)
    for path in asked["replaced"]:
        made.replace(read_member(path))
    for path in asked["added"]:
        made.add(read_member(path))
    if asked["governors"] or asked["removed"] or asked["threshold"] is not None:
        added: Sequence[Any] = [read_governor(text) for text in asked["governors"]]
        made.change_governors(added, asked["removed"], asked["threshold"])
    if asked["faults"] is not None:
        made.set_faults(None if asked["faults"] == "default" else asked["faults"])
    if asked["access"] is not None:
        made.set_access(asked["access"])
    if asked["rules"] is not None:
        made.set_rules(asked["rules"])
