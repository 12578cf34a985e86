"""``suyuan verify``: files that convince somebody who trusts no node. Imports the ledger alone; asks nobody."""

from pathlib import Path

import click

from cli import output
from cli.command import Command, option
from cli.files import read_file
from cli.language import _, noted
from cli.options import FILE, FINGERPRINT, json_option, network_option


@click.command("verify", cls=Command)
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=FILE)
@option(
    "--fingerprint", type=FINGERPRINT, envvar="SUYUAN_FINGERPRINT",
    help=noted("The network's fingerprint, as it was given to you out of band."),
)  # fmt: skip
@network_option
@option(
    "--policy", type=FILE,
    help=noted("Judge proofs by this trust policy (c2sp.org/tlog-policy) in the place of a network document."),
)  # fmt: skip
@option("--entry", type=FILE, help=noted("The entry of a proof that does not carry it."))
@json_option
def command(
    files: tuple[Path, ...],
    fingerprint: str | None,
    network: Path | None,
    policy: Path | None,
    entry: Path | None,
    *,
    as_json: bool,
) -> int:
    r"""Verify files offline: evidence of a record's history, proofs of single entries, network documents.

    Nothing is believed but the fingerprint. Every signature, every place in a log, and every quorum is checked; exit
    code 1 when anything does not hold.

    A file that accuses a log of two stories is verified when the log's own signatures convict it; exit code 6 then,
    whatever the other files are.

    \b
    suyuan verify evidence.json --fingerprint 3f1c…
    suyuan verify entry.proof --network network.note --fingerprint 3f1c…
    suyuan verify entry.proof --policy trusted.policy
    """
    from cli import verification  # noqa: PLC0415 - slow to import
    from ledger.policy import parse_policy  # noqa: PLC0415 - as above
    from ledger.versions import verify_chain  # noqa: PLC0415 - as above

    raw = read_file(entry) if entry is not None else None
    if policy is not None:
        rules = parse_policy(read_file(policy))
        fingerprint = None  # nothing of it is needed: the policy says whom to believe

        def judge(name: str, data: bytes) -> verification.Verdict:
            return verification.verify_by_policy(name, data, rules, raw)
    elif fingerprint is not None:
        pinned = fingerprint
        document = verify_chain(read_file(network), pinned) if network is not None else None

        def judge(name: str, data: bytes) -> verification.Verdict:
            return verification.verify_file(name, data, fingerprint=pinned, network=document, entry=raw)
    else:
        raise click.UsageError(_("verified against what? Give --fingerprint, or --policy for proofs"))
    verdicts = []
    with output.progress(_("verifying")) as advance:
        for number, path in enumerate(files):
            verdicts.append(judge(str(path), read_file(path)))
            advance(number + 1, len(files))
    if as_json:
        output.emit(verification.to_json(verdicts, fingerprint))
    else:
        for verdict in verdicts:
            output.show(*verification.parts(verdict))
    return verification.exit_code(verdicts)
