"""``suyuan witness resume``."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file
from cli.language import _, noted, plural
from cli.options import FILE, config_option

REASON_CHARACTERS_MAX = 200
CHECKPOINT_BYTES_MAX = 1_000_000


@click.command("resume", cls=Command)
@click.argument("checkpoints", metavar="[CHECKPOINT…]", nargs=-1, type=FILE)
@option("--reason", required=True, help=noted("Why it is right to go on; it is stored, and logged at every start."))
@config_option
def command(checkpoints: tuple[Path, ...], reason: str, config: Path) -> None:
    r"""Let a node cosign foreign logs again whose store was lost, or is an old copy. The node must be stopped.

    Nobody gives back what the node has cosigned of foreign logs. If a log has shown it one history before and shows
    another one now, the node would cosign both. Get the newest checkpoint of each log that this node has cosigned, from
    the log or from somebody who has kept it, and give the files: the memory goes on from there. Where that cannot be
    had, a new key is the safer way: move keys/witness.key aside, then suyuan witness key.

    \b
    suyuan witness resume sumdb.checkpoint --reason "disk replaced, checkpoints from the log" --config police
    """
    from ledger.encoding import format_time  # noqa: PLC0415 - with the rest
    from ledger.store import open_store  # noqa: PLC0415 - slow to import
    from node.clock import SystemClock  # noqa: PLC0415 - as above
    from node.config import load_home  # noqa: PLC0415 - as above
    from node.foreign import begin_memory, read_memory, remembered_heads, witness_name  # noqa: PLC0415 - as above
    from node.keys import load_witness_key  # noqa: PLC0415 - as above

    why = " ".join(reason.split())
    if not 0 < len(why) <= REASON_CHARACTERS_MAX or not why.isprintable():
        raise click.UsageError(_("the reason has 1 to {limit} characters", limit=REASON_CHARACTERS_MAX))
    home = load_home(config)
    signer = load_witness_key(home.keys, witness_name(home.settings))
    documents = [_checkpoint(path) for path in checkpoints]
    store = open_store(home.data)
    try:
        memory = read_memory(store)
        if memory is not None and memory.vkey == signer.verifier.vkey:
            output.note(_("The memory of this witness is whole; nothing was changed."))
            return
        heads = remembered_heads(store, signer, home.settings.witnessed, documents)
        begin_memory(store, signer, since=format_time(SystemClock().now_ms()), why=why, heads=heads)
    finally:
        store.close()
    output.note(
        plural(
            len(heads),
            "Foreign logs are cosigned again; {count} of them goes on from the checkpoint that was given.",
            "Foreign logs are cosigned again; {count} of them go on from the checkpoints that were given.",
        )
    )


def _checkpoint(path: Path) -> bytes:
    """Return a file's bytes, after looking whether it is a checkpoint: later nobody knows which file it was."""
    from ledger.checkpoint import parse_checkpoint_text  # noqa: PLC0415 - slow to import
    from ledger.errors import LedgerError  # noqa: PLC0415 - as above
    from ledger.note import parse_note  # noqa: PLC0415 - as above

    data = read_file(path, CHECKPOINT_BYTES_MAX)
    try:
        parse_checkpoint_text(parse_note(data).text)
    except LedgerError as error:
        error.field = str(path)
        raise
    return data
