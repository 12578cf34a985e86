"""``suyuan proof``: one entry to take away (c2sp.org/tlog-proof)."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file, write_file
from cli.language import _, noted, plural
from cli.options import FILE, NEW_FILE, PLACE, Place
from cli.session import Session, trusting_options


@click.command("proof", cls=Command)
@click.argument("place", metavar="LOG#INDEX", type=PLACE)
@option("--out", type=NEW_FILE, help=noted("The file to write; else the proof goes to standard output."))
@option(
    "--policy", type=FILE,
    help=noted("A proof for whoever trusts this policy (c2sp.org/tlog-policy): with foreign witnesses' cosignatures."),
)  # fmt: skip
@trusting_options
def command(*, place: Place, out: Path | None, policy: Path | None, session: Session) -> None:
    r"""Save the proof of one entry: the entry, its place in the log, the checkpoint with its cosignatures.

    Where the fingerprint is known, the proof is verified before it is saved. Tools for C2SP's tlog-proof read it as
    well.

    \b
    suyuan proof police.ordos.example/log#42 --out entry.proof --config tax
    suyuan verify entry.proof --network network.note --fingerprint 3f1c…
    """
    from ledger.evidence import verify_proof_file  # noqa: PLC0415 - slow to import
    from ledger.policy import parse_policy, verify_proof_by_policy  # noqa: PLC0415 - as above

    if policy is not None:
        data = _witnessed(session, place)
        proof, accepted = verify_proof_by_policy(data, parse_policy(read_file(policy)))
        _check_place(place, Place(accepted.checkpoint.origin, proof.index))
        output.note(
            plural(
                len(accepted.witnesses),
                "Verified here by the policy: {count} of its witnesses has cosigned.",
                "Verified here by the policy: {count} of its witnesses have cosigned.",
            )
        )
        _save(data, out)
        return
    data = session.client.proof(place.log, place.index)
    if session.fingerprint is not None:
        proven = verify_proof_file(data, session.trust.network)
        _check_place(place, Place(proven.entry.origin, proven.entry.index))
        output.note(_("Verified here: {words}.", words=proven.words))
    else:
        output.note(_("Not verified here: without --fingerprint or --config nobody can say what it is worth."))
    _save(data, out)


def _witnessed(session: Session, place: Place) -> bytes:
    """Return the proof with foreign cosignatures; the members' alone, where the node asks no foreign witness."""
    from node.client import NodeProblem  # noqa: PLC0415 - with the rest

    try:
        return session.client.proof(place.log, place.index, cosigners="all")
    except NodeProblem as problem:
        if problem.field != "cosigners" or problem.code != "not_found":
            raise
    return session.client.proof(place.log, place.index)


def _save(data: bytes, out: Path | None) -> None:
    if out is None:
        output.raw(data)
    else:
        write_file(out, data)
        output.note(_("The proof is in {path}; suyuan verify judges it offline.", path=out))


def _check_place(asked: Place, proven: Place) -> None:
    from ledger.errors import VerificationError  # noqa: PLC0415 - with the rest

    if asked != proven:
        raise VerificationError(f"the node has proven {proven} where {asked} was asked for", field="index")
