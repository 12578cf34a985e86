"""``suyuan witness key``."""

import secrets
from pathlib import Path

import click

from cli import output
from cli.command import Command
from cli.language import _
from cli.options import config_option


@click.command("key", cls=Command)
@config_option
def command(config: Path) -> None:
    """Print the public key by which this node cosigns foreign logs; make it where there is none.

    The node must be stopped while it is made, for the store notes that this key has cosigned nothing yet. Give the line
    to whoever runs the foreign log: it is a verifier key as C2SP describes it.
    """
    from ledger.encoding import format_time  # noqa: PLC0415 - with the rest
    from ledger.store import open_store  # noqa: PLC0415 - slow to import
    from node.clock import SystemClock  # noqa: PLC0415 - as above
    from node.config import load_home  # noqa: PLC0415 - as above
    from node.foreign import NEW_KEY, begin_memory, witness_name  # noqa: PLC0415 - as above
    from node.keys import WITNESS_KEY, load_witness_key, make_witness_key  # noqa: PLC0415 - as above

    home = load_home(config)
    name = witness_name(home.settings)
    if (home.keys / WITNESS_KEY).exists():
        output.data(load_witness_key(home.keys, name).verifier.vkey)
        return
    store = open_store(home.data)  # before the key is made: only a stopped node lets it
    try:
        signer = make_witness_key(home.keys, name, secrets.token_bytes)
        begin_memory(store, signer, since=format_time(SystemClock().now_ms()), why=NEW_KEY)
    finally:
        store.close()
    output.data(signer.verifier.vkey)
    output.note(_("The key is made in {path}: back it up.", path=home.keys / WITNESS_KEY))
