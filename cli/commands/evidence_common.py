"""What the commands of ``suyuan evidence`` share: which proof is meant."""

from typing import Any

import click

from cli.language import _
from cli.session import Session

ID_DIGITS_MIN = 8
ID_DIGITS = 64


class ProofIdType(click.ParamType):  # type: ignore[type-arg] # generic only in newer versions of click
    """The id of a proof, or enough of its beginning."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return its digits, or fail."""
        digits = str(value).strip().lower()
        if not ID_DIGITS_MIN <= len(digits) <= ID_DIGITS or set(digits) - set("0123456789abcdef"):
            self.fail(
                _("{value} is no id of a proof: at least its first 8 digits; suyuan evidence list shows them",
                  value=repr(value)),
                param, ctx,
            )  # fmt: skip
        return digits


PROOF_ID = ProofIdType()


def fetch(session: Session, digits: str) -> tuple[str, bytes]:
    """Return the full id and the file of the proof that begins with some digits.

    Raises:
        NotFoundError: the node keeps none.
        click.UsageError: it keeps several.
    """
    from node.errors import NotFoundError  # noqa: PLC0415 - slow to import

    listed = session.client.equivocations()["equivocations"]
    found = [str(one["id"]) for one in listed if str(one["id"]).startswith(digits)]
    if not found:
        raise NotFoundError("the node keeps no such proof", field="id", hint="suyuan evidence list shows them")
    if len(found) > 1:
        raise click.UsageError(_("{digits} begins the ids of {count} proofs", digits=digits, count=len(found)))
    return found[0], session.client.equivocation(found[0])
