"""``suyuan witness show``."""

from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.command import Command
from cli.language import _, detail
from cli.options import json_option
from cli.session import Session, node_options

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("show", cls=Command)
@node_options
@json_option
def command(*, session: Session, as_json: bool) -> None:
    """Show which foreign logs a node witnesses and how far, and which foreign witnesses cosign its own log."""
    answer = session.client.witness()
    if as_json:
        output.emit(answer)
        return
    output.show(*_logs(answer), *_witnesses(answer))


def _logs(answer: dict[str, Any]) -> "list[RenderableType]":
    if not answer["logs"]:
        return [output.words(_("This node witnesses no foreign log."))]
    memory = answer["memory"]
    state = (
        output.words((_("whole"), output.GOOD))
        if memory["whole"]
        else output.words((_("lost: nothing is cosigned before suyuan witness resume"), output.BAD))
    )
    rows = [
        (
            one["log"],
            "–" if one["size"] is None else str(one["size"]),
            output.words((_("two roots for one size"), output.BAD))
            if one["contradiction"] is not None
            else output.words(),
        )
        for one in answer["logs"]
    ]
    return [
        output.pairs([(_("Witness key"), answer["key"]), (_("Memory"), state)]),
        output.table(_("Foreign log"), _("Cosigned"), _("Contradiction"), rows=rows, right=(1,)),
    ]


def _witnesses(answer: dict[str, Any]) -> "list[RenderableType]":
    if answer["policy"] is None:
        return [output.words(_("No foreign witness is asked to cosign the own log."))]
    rows = [
        (one["name"], one["url"], "–" if one["size"] is None else str(one["size"]), _state(one))
        for one in answer["witnesses"]
    ]
    size = answer["witnessed_size"]
    return [
        output.pairs([(_("Policy satisfied at"), _("never yet") if size is None else str(size))]),
        output.table(_("Foreign witness"), _("Address"), _("Cosigned"), _("State"), rows=rows, right=(2,)),
    ]


def _state(one: dict[str, Any]) -> Any:
    if one["reachable"] is None:
        return output.words((_("not asked yet"), output.FAINT))
    if one["reachable"]:
        return output.words((_("answers"), output.GOOD))
    return output.words((_("does not cosign"), output.BAD), f"\n{detail(one['last_error'] or '')}")
