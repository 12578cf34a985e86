"""``suyuan completion``: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

from cli import output
from cli.command import Command

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    r"""Print the script by which a shell completes commands and options.

    \b
    suyuan completion bash > ~/.local/share/bash-completion/completions/suyuan
    suyuan completion zsh > ~/.zfunc/_suyuan
    suyuan completion fish > ~/.config/fish/completions/suyuan.fish
    """
    name = ctx.find_root().info_name or "suyuan"
    kind = get_completion_class(shell)
    assert kind is not None
    output.data(kind(ctx.find_root().command, {}, name, f"_{name.upper()}_COMPLETE").source().rstrip())
