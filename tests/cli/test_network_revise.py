"""suyuan network revise, diff and sign: every change of a network, what is told of it, and what is refused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders import Net, department, make_network, next_version, signer

from ledger.encoding import encode_base64
from ledger.network import Network, network_text, parse_network
from ledger.note import COSIGNATURE, ED25519, Signer, parse_skey
from ledger.versions import split_versions, verify_chain

pytest_plugins = ("departments",)

POLICE, TAX, HEALTH, COURT = (f"{name}.ordos.example/log" for name in ("police", "tax", "health", "court"))
ROOT = encode_base64(bytes(32))


def fresh(name: str, number: int = 1) -> Signer:
    """Another key of the same name than the usual one."""
    return Signer(name, ED25519, bytes([number]) * 32)


def key_of(origin: str, number: int = 1) -> str:
    return fresh(origin, number).verifier.vkey


@dataclass
class Office:
    """A folder with a signed network of four members and three governors, of whom two must sign."""

    folder: Path
    suyuan: Any
    net: Net

    def __call__(self, *arguments: object) -> Any:
        return self.suyuan("network", *arguments)

    @property
    def note(self) -> Path:
        return self.folder / "network.note"

    @property
    def draft(self) -> Path:
        return self.folder / "network.draft"

    def revise(self, *options: object) -> Any:
        return self("revise", self.note, *options)

    def revised(self, *options: object) -> dict[str, Any]:
        """The body of the draft that these options make."""
        ran = self.revise(*options)
        assert ran.code == 0, ran
        body: dict[str, Any] = json.loads(self.draft.read_text().split("\n")[4])
        return body

    def changes(self, *options: object) -> dict[str, Any]:
        """What these options change, as a program reads it."""
        ran = self.revise(*options, "--json")
        assert ran.code == 0, ran
        said: dict[str, Any] = json.loads(ran.out)
        return said

    def sign(self, *numbers: int) -> Any:
        keys = [option for number in numbers for option in ("--key", self.key(f"ordos/governor-{number}"))]
        return self("sign", self.draft, *keys, "--out", self.note)

    def key(self, name: str) -> Path:
        return self.secret(signer(name))

    def secret(self, one: Signer) -> Path:
        path = self.folder / f"{one.name.replace('/', '-')}.key"
        path.touch(mode=0o600)
        path.write_text(one.skey + "\n")
        return path

    def member(self, number: int, **members: Any) -> Path:
        path = self.folder / f"member-{number}.json"
        path.write_text(json.dumps(department(number).entry(**members)))
        return path

    def continue_with(self, **members: Any) -> None:
        """Put a signed version with other members in its body behind the ones that are there."""
        body = json.loads(self.net.network.text.split("\n")[4])
        self.note.write_bytes(self.net.document + b"\n" + next_version(self.net, {**body, **members}))


def entry_of(body: dict[str, Any], origin: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in body["members"] if entry["origin"] == origin)
    return found


@pytest.fixture
def office(tmp_path: Path, suyuan: Any) -> Office:
    net = make_network(4, governors=3, threshold=2)
    (tmp_path / "network.note").write_bytes(net.document)
    return Office(tmp_path, suyuan, net)


def test_a_new_member_goes_behind_the_others_into_the_draft_of_the_next_version(office: Office) -> None:
    ran = office.revise("--add", office.member(4))
    assert ran.code == 0
    assert ran.out.strip() == str(office.draft)
    network = parse_draft(office.draft)
    assert network.version == 2
    assert list(network.members) == [POLICE, TAX, HEALTH, COURT, department(4).origin]


def parse_draft(path: Path) -> Network:
    from cli.drafts import read_networks  # noqa: PLC0415 - the command's own reader

    return read_networks(path.read_bytes())[-1]


@pytest.mark.parametrize(
    ("option", "before", "after"),
    [
        ("--suspend", "active", "suspended"),
        ("--resume", "suspended", "active"),
        ("--end", "active", "ended"),
        ("--end", "suspended", "ended"),
    ],
    ids=["suspend", "resume", "end", "end one that is suspended"],
)
def test_a_status_changes(office: Office, option: str, before: str, after: str) -> None:
    members = [one.entry(status=before if one.origin == TAX else "active") for one in office.net.departments]
    office.continue_with(members=members)
    said = office.changes(option, TAX)
    (change,) = said["changes"]
    assert (change["what"], change["of"], change["before"], change["after"]) == ("member.status", TAX, before, after)
    assert parse_draft(office.draft).members[TAX].entry.status == after


def test_a_url_changes(office: Office) -> None:
    body = office.revised("--url", f"{TAX}=https://new.example:8300/base")
    assert entry_of(body, TAX)["url"] == "https://new.example:8300/base"


def test_a_member_that_is_replaced_keeps_what_the_governors_have_said_of_it(office: Office) -> None:
    old = [one.entry(status="suspended" if one.origin == TAX else "active") for one in office.net.departments]
    office.continue_with(members=old)
    tax = department(1)
    spans = [{"key": tax.log.verifier.vkey, "from": 0, "until": 9}, {"key": key_of(TAX), "from": 9}]
    said = office.changes("--replace", office.member(1, log_keys=spans, names={"zh": "税务", "en": "Taxes"}))
    assert [change["what"] for change in said["changes"]] == [
        "member.log_key", "member.log_key", "member.names.zh", "member.names.en",
    ]  # fmt: skip
    entry = parse_draft(office.draft).members[TAX].entry
    assert entry.status == "suspended"
    assert [span.until for span in entry.log_keys] == [9, None]


def test_other_keys_of_a_member_are_told_in_full(office: Office) -> None:
    cosigner = signer("tax.ordos.example/other", COSIGNATURE)
    said = office.changes("--replace", office.member(1, cosigner=cosigner.verifier.vkey, code="11AB"))
    assert [(change["what"], change["after"]) for change in said["changes"]] == [
        ("member.code", "11AB"),
        ("member.cosigner", cosigner.verifier.vkey),
    ]
    assert [risk["code"] for risk in said["warnings"]] == ["cosigner_key"]


def test_a_readmission_is_a_ruling_and_a_new_key_from_its_size_on(office: Office) -> None:
    members = [one.entry(status="suspended" if one.origin == TAX else "active") for one in office.net.departments]
    office.continue_with(members=members)
    said = office.changes("--readmit", TAX, "--at", 42, "--root", ROOT, "--key", key_of(TAX))
    member = parse_draft(office.draft).members[TAX]
    assert member.active
    assert member.readmitted is not None
    assert member.readmitted.size == 42
    assert [(span.start, span.until) for span in member.entry.log_keys] == [(0, 42), (42, None)]
    assert member.entry.log_keys[1].key == key_of(TAX)
    assert [change["what"] for change in said["changes"]] == [
        "member.status", "member.log_key", "member.log_key", "member.readmitted",
    ]  # fmt: skip
    assert {"ruling", "log_key_ended"} <= {risk["code"] for risk in said["warnings"]}


def test_governors_change_and_the_old_and_the_new_ones_must_sign(office: Office) -> None:
    new = signer("ordos/governor-4")
    said = office.changes("--remove-governor", "ordos/governor-1", "--add-governor", new.verifier.vkey)
    assert [(change["what"], change["of"]) for change in said["changes"]] == [
        ("governor.added", new.verifier.vkey),
        ("governor.removed", signer("ordos/governor-1").verifier.vkey),
    ]
    assert [(judge["version"], judge["threshold"], len(judge["governors"])) for judge in said["signatures"]] == [
        (1, 2, 3), (2, 2, 3),
    ]  # fmt: skip


def test_one_governors_key_is_replaced_under_the_same_name(office: Office) -> None:
    old = signer("ordos/governor-1").verifier.vkey
    other = fresh("ordos/governor-1")
    body = office.revised("--remove-governor", old, "--add-governor", office.secret(other), "--threshold", 3)
    assert old not in body["governors"]["keys"]
    assert other.verifier.vkey in body["governors"]["keys"]
    assert body["governors"]["threshold"] == 3


def test_a_governors_key_may_be_given_as_the_file_of_the_public_one(office: Office) -> None:
    vkey = signer("ordos/governor-4").verifier.vkey
    (office.folder / "g4.pub").write_text(vkey + "\n")
    assert vkey in office.revised("--add-governor", office.folder / "g4.pub")["governors"]["keys"]


def test_a_governor_who_is_to_join_makes_a_key_and_gives_the_public_half(office: Office) -> None:
    path, public = office.folder / "governor-4.key", office.folder / "governor-4.pub"
    made = office("new-governor", "ordos/governor-4", "--key", path)
    assert made.code == 0
    public.write_text(made.out)
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.out.strip() in office.revised("--add-governor", public)["governors"]["keys"]
    assert parse_skey(path.read_text().strip()).verifier.vkey == made.out.strip()
    before = path.read_bytes()
    assert office("new-governor", "ordos/governor-5", "--key", path).code == 2
    assert path.read_bytes() == before
    assert office("new-governor", "no name", "--key", office.folder / "other.key").code == 2
    assert not (office.folder / "other.key").exists()


def test_rules_of_the_network_change(office: Office) -> None:
    said = office.changes("--faults", 0, "--access", "open", "--rules", "cn-2026")
    assert [(change["what"], change["before"], change["after"]) for change in said["changes"]] == [
        ("faults", None, 0), ("access", "members", "open"), ("rules", "cn-2025", "cn-2026"),
    ]  # fmt: skip
    assert {risk["code"] for risk in said["warnings"]} == {"open", "fewer_faults"}


def test_the_usual_number_of_faults_comes_back(office: Office) -> None:
    office.continue_with(quorum={"faults": 0})
    assert "quorum" not in office.revised("--faults", "default", "--access", "open")


def test_several_changes_go_into_one_version(office: Office) -> None:
    said = office.changes("--add", office.member(4), "--suspend", TAX, "--url", f"{TAX}=https://t.example")
    assert sorted(change["what"] for change in said["changes"]) == ["member.added", "member.status", "member.url"]


def test_several_members_may_leave_in_one_version_and_the_governors_are_warned(office: Office) -> None:
    others = [origin for origin in office.net.network.members if origin != TAX]
    said = office.changes("--suspend", TAX, "--end", others[0])
    assert [change["what"] for change in said["changes"]] == ["member.status", "member.status"]
    assert {"fewer_voters", "fewer_faults", "member_ended"} <= {risk["code"] for risk in said["warnings"]}


def test_raising_n_across_a_boundary_of_the_quorum_is_told_as_numbers(office: Office) -> None:
    ran = office.revise("--add", office.member(4), "--add", office.member(5), "--add", office.member(6))
    assert "active members: 4 → 7" in ran.err
    assert "must cosign: 3 → 5" in ran.err
    assert "may fail or lie: 1 → 2" in ran.err
    assert "need not share an honest member" in ran.err


def test_one_member_more_is_without_any_risk_at_every_size_of_a_network() -> None:
    from cli.network_risks import risks  # noqa: PLC0415 - the risks alone

    for size in range(2, 40):
        before = make_network(size)
        after = parse_network(next_version(before, body_of(make_network(size + 1).network)))
        assert [risk.code for risk in risks(before.network, after)] == [], size


def body_of(network: Network) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(network.text.split("\n")[4])
    return body


REFUSED: list[tuple[Sequence[object], str]] = [
    ((), "nothing is to be changed"),
    (("--suspend", "tax.ordos.example"), "has no member"),
    (("--resume", TAX), "is active"),
    (("--end", TAX, "--suspend", TAX), "two changes of tax.ordos.example/log"),
    (("--suspend", TAX, "--suspend", TAX), "two changes of tax.ordos.example/log"),
    (("--url", f"{TAX}=https://a.example", "--url", f"{TAX}=https://b.example"), "two changes"),
    (("--url", TAX), "write it as ORIGIN=URL"),
    (("--url", f"{TAX}=https://tax.ordos.example"), "is so already"),
    (("--url", f"{TAX}=nowhere"), "url"),
    (("--readmit", TAX, "--at", 5), "belong together"),
    (("--at", 5, "--root", ROOT, "--key", key_of(TAX)), "belong together"),
    (("--readmit", TAX, "--at", 5, "--root", "AA==", "--key", key_of(TAX)), "readmitted"),
    (("--readmit", TAX, "--at", 5, "--root", ROOT, "--key", key_of(POLICE)), "origin"),
    (("--readmit", TAX, "--at", 5, "--root", ROOT, "--key", "nowhere.key"), "does not exist"),
    (("--add-governor", "a+b"), "name+hash+base64"),
    (("--add-governor", signer("ordos/governor-1").verifier.vkey), "governs already"),
    (("--remove-governor", "ordos/governor-9"), "nobody named ordos/governor-9"),
    (("--threshold", 4), "4 governors must sign, and there would be 3"),
    (("--remove-governor", "ordos/governor-1", "--remove-governor", "ordos/governor-2"), "there would be 1"),
    (("--threshold", 2), "so already"),
    (("--faults", "default"), "so already"),
    (("--faults", "some"), "--faults"),
    (("--faults", 4), "more members must cosign than there are"),
    (("--access", "members"), "so already"),
    (("--rules", "cn-2025"), "so already"),
]


@pytest.mark.parametrize(
    ("options", "words"), REFUSED, ids=[f"{number} {words}" for number, (_, words) in enumerate(REFUSED)]
)
def test_what_cannot_be_or_changes_nothing_is_refused_and_nothing_written(
    office: Office, options: Sequence[object], words: str
) -> None:
    ran = office.revise(*options)
    assert ran.code == 2, ran
    assert words in ran.err
    assert not office.draft.exists()


@pytest.mark.parametrize("name", ["tax.ordos.example", "tax", "Tax", "tax局"])
def test_an_unknown_member_is_answered_with_the_one_that_may_be_meant(office: Office, name: str) -> None:
    assert f"did you mean {TAX}" in office.revise("--end", name).err


def test_an_unknown_governor_is_answered_with_those_that_may_be_meant(office: Office) -> None:
    assert "ordos/governor-2" in office.revise("--remove-governor", "ordos/governer-2").err


def test_a_name_that_is_like_nothing_is_answered_with_where_to_read_on(office: Office) -> None:
    assert "--help says how" in office.revise("--end", "0").err


def test_a_member_that_is_there_is_not_added_again(office: Office) -> None:
    assert "is a member already" in office.revise("--add", office.member(1)).err


def test_a_member_that_is_replaced_changes_in_no_other_way(office: Office) -> None:
    moved = office.member(1, url="https://b.example")
    assert "two changes" in office.revise("--replace", moved, "--url", f"{TAX}=https://a.example").err
    assert "is so already" in office.revise("--replace", office.member(1)).err
    assert "has no member" in office.revise("--replace", office.member(4)).err


def test_an_ended_member_comes_back_by_no_option(office: Office) -> None:
    members = [one.entry(status="ended" if one.origin == TAX else "active") for one in office.net.departments]
    office.continue_with(members=members)
    ruling = ("--at", 5, "--root", ROOT, "--key", key_of(TAX))
    for options in (("--resume", TAX), ("--suspend", TAX), ("--end", TAX), ("--readmit", TAX, *ruling)):
        assert "is ended" in office.revise(*options).err


@pytest.mark.parametrize(
    "spans",
    [
        lambda _old: [{"key": key_of(TAX), "from": 0}],
        lambda old: [{"key": key_of(TAX), "from": 0}, {"key": old, "from": 5}],
    ],
    ids=["another key", "the key from elsewhere on"],
)
def test_log_keys_that_do_not_extend_the_old_ones_are_refused(office: Office, spans: Any) -> None:
    old = department(1).log.verifier.vkey
    ran = office.revise("--replace", office.member(1, log_keys=spans(old)))
    assert ran.code == 2
    assert f"a log key of {TAX} is not what it was" in ran.err


def ruled(office: Office, **span: int) -> None:
    """Let the log of tax go on from 10 with a second key, by a ruling where the span has no end."""
    first = {"key": department(1).log.verifier.vkey, "from": 0, "until": 10}
    second = {"key": key_of(TAX), "from": 10, **span}
    entry = department(1).entry(log_keys=[first, second], readmitted={"root": ROOT, "size": 10})
    office.continue_with(members=[entry if one.origin == TAX else one.entry() for one in office.net.departments])


@pytest.mark.parametrize(
    ("span", "size", "words"),
    [
        ({}, 10, "a ruling is never moved back"),
        ({}, 9, "a ruling is never moved back"),
        ({"until": 30}, 20, "has ended at 30"),
    ],
    ids=["at the same size", "earlier", "within a key that has ended elsewhere"],
)
def test_a_ruling_that_cannot_follow_the_former_ones_is_refused(
    office: Office, span: dict[str, int], size: int, words: str
) -> None:
    ruled(office, **span)
    third = key_of(TAX, 2)
    assert words in office.revise("--readmit", TAX, "--at", size, "--root", ROOT, "--key", third).err
    assert not office.draft.exists()


def test_a_log_may_be_readmitted_a_second_time_further_on(office: Office) -> None:
    ruled(office)
    third = key_of(TAX, 2)
    said = office.changes("--readmit", TAX, "--at", 20, "--root", ROOT, "--key", third)
    assert said["changes"][-1]["before"] == {"size": 10, "root": ROOT}


def test_a_ruling_below_the_newest_key_is_refused(office: Office) -> None:
    first = {"key": department(1).log.verifier.vkey, "from": 0, "until": 10}
    entry = department(1).entry(log_keys=[first, {"key": key_of(TAX), "from": 10}])
    office.continue_with(members=[entry if one.origin == TAX else one.entry() for one in office.net.departments])
    third = key_of(TAX, 2)
    ran = office.revise("--readmit", TAX, "--at", 10, "--root", ROOT, "--key", third)
    assert "--at must be larger" in ran.err


def test_two_governors_of_one_name_are_told_apart_by_their_keys(office: Office) -> None:
    twin = fresh("ordos/governor-1")
    keys = [one.verifier.vkey for one in (*office.net.governors, twin)]
    office.continue_with(governors={"keys": keys, "threshold": 2})
    note = office.note.read_bytes()
    assert parse_network(split_versions(note)[-1]).version == 2
    assert "give the whole public key" in office.revise("--remove-governor", "ordos/governor-1").err


def test_a_draft_is_nothing_to_revise(office: Office) -> None:
    office.revised("--suspend", TAX)
    assert "this is a draft" in office("revise", office.draft, "--resume", TAX).err


def test_a_version_that_lacks_signatures_is_nothing_to_revise(office: Office) -> None:
    office.revised("--suspend", TAX)
    office.sign(1)
    office.draft.unlink()
    ran = office.revise("--resume", TAX)
    assert ran.code == 1
    assert "no_quorum" in ran.err
    assert "has 1 of the 2 signatures that it needs by governors of version 1" in ran.err
    assert "have more governors sign it" in ran.err


def test_a_first_version_that_lacks_signatures_is_nothing_to_revise(office: Office) -> None:
    office.note.write_bytes(office.net.network.note.encode().rsplit(b"\xe2\x80\x94", 2)[0])
    ran = office.revise("--suspend", TAX)
    assert ran.code == 1
    assert "has 1 of the 2 signatures that it needs by governors of version 1" in ran.err
    assert "have more governors sign it" in ran.err
    assert "members" not in ran.err


def test_no_draft_is_replaced(office: Office) -> None:
    office.revised("--suspend", TAX)
    before = office.draft.read_bytes()
    assert "there already" in office.revise("--end", TAX).err
    assert office.draft.read_bytes() == before


def test_governors_rotate_over_three_versions_and_the_chain_verifies(office: Office) -> None:
    new = office.secret(signer("ordos/governor-4"))
    office.revised("--remove-governor", "ordos/governor-1", "--add-governor", new, "--threshold", 3)
    half = office.sign(1, 2)
    assert "Signed by 2 of the governors of version 1, 2 are needed: " in half.err
    assert "Signed by 1 of the governors of version 2, 3 are needed: ordos/governor-2\n" in half.err
    assert "2 of 3 governors of version 1" in half.err
    assert office("verify", office.note, "--fingerprint", office.net.fingerprint).code == 1
    assert "suyuan network adopt" in office.sign(3, 4).err
    shown = office("verify", office.note, "--fingerprint", office.net.fingerprint)
    assert shown.code == 0
    assert "ordos/governor-4" in shown.out
    office.draft.unlink()
    office.revised("--suspend", TAX)
    assert "does not govern" in office.sign(1).err  # who has left signs nothing any more
    office.sign(2, 3, 4)
    assert verify_chain(office.note.read_bytes(), office.net.fingerprint).version == 3


def test_whoever_signs_is_told_what_changes(office: Office) -> None:
    office.revised("--end", TAX)
    said = office.sign(1).err
    assert f"{TAX} (Tax)" in said
    assert "ended for good" in said
    assert "Think of this before you sign" in said


@pytest.mark.parametrize("gone", ["member", "key"])
def test_a_draft_that_takes_away_what_must_stay_is_not_signed_and_says_so_when_read(office: Office, gone: str) -> None:
    body = body_of(office.net.network)
    if gone == "member":
        body["members"] = [entry for entry in body["members"] if entry["origin"] != TAX]
    else:
        entry_of(body, TAX)["log_keys"][0]["key"] = key_of(TAX)
    office.draft.write_text(network_text("ordos", 2, office.net.network.text_hash, body))
    read = office("diff", office.note, office.draft).out
    assert ("TAKEN OUT" if gone == "member" else "ANOTHER log key") in read
    before = office.note.read_bytes()
    assert office.sign(1, 2).code == 2
    assert office.note.read_bytes() == before


def test_a_file_with_two_versions_is_compared_with_itself(office: Office) -> None:
    assert "one version only" in office("diff", office.note).err
    office.revised("--suspend", TAX)
    office.sign(1, 2)
    said = json.loads(office("diff", office.note, "--json").out)
    assert said["schema"] == "suyuan.network-changes/1"
    assert (said["before"]["version"], said["after"]["version"]) == (1, 2)
    assert [len(judge["signed"]) for judge in said["signatures"]] == [2, 2]


def test_versions_far_apart_are_compared_and_so_is_one_with_itself(office: Office) -> None:
    first = office.folder / "first.note"
    first.write_bytes(office.note.read_bytes())
    for option in ("--suspend", "--resume"):
        office.revised(option, TAX)
        office.sign(1, 2)
        office.draft.unlink()
    said = json.loads(office("diff", first, office.note, "--json").out)
    assert said["changes"] == []
    assert [judge["version"] for judge in said["signatures"]] == [3]
    assert "nothing is changed" in office("diff", first, office.note).out


def test_another_network_is_no_other_version(office: Office) -> None:
    body = body_of(office.net.network)
    office.draft.write_text(network_text("baotou", 2, office.net.network.text_hash, body))
    assert "network baotou is not network ordos" in office("diff", office.note, office.draft).err


def test_a_version_of_another_chain_is_told_as_such(office: Office) -> None:
    office.draft.write_text(network_text("ordos", 2, bytes(32), body_of(office.net.network)))
    said = json.loads(office("diff", office.note, office.draft, "--json").out)
    assert [risk["code"] for risk in said["warnings"]] == ["not_next"]


def risks_of(before: Net, **members: Any) -> set[str]:
    from cli.network_risks import risks  # noqa: PLC0415 - the risks alone

    after = parse_network(next_version(before, {**body_of(before.network), **members}))
    return {risk.code for risk in risks(before.network, after)}


def with_status(net: Net, status: str, *numbers: int) -> list[dict[str, Any]]:
    return [one.entry(status=status if n in numbers else "active") for n, one in enumerate(net.departments)]


def test_what_is_risky_is_named() -> None:
    four, three, two = (make_network(size, governors=2) for size in (4, 3, 2))
    keys = [one.verifier.vkey for one in four.governors]
    assert risks_of(four, members=with_status(four, "ended", 0)) == {"fewer_voters", "fewer_faults", "member_ended"}
    assert risks_of(three, members=with_status(three, "suspended", 0)) == {"fewer_voters", "all_needed"}
    assert risks_of(two, members=with_status(two, "suspended", 0, 1)) == {"no_voters"}
    assert risks_of(four, quorum={"faults": 2}) == {"faults_too_many", "all_needed"}
    assert risks_of(four, governors={"keys": keys, "threshold": 2}) == {"all_governors"}
    strangers = [signer(f"ordos/other-{number}").verifier.vkey for number in (1, 2)]
    assert risks_of(four, governors={"keys": strangers, "threshold": 1}) == {"one_governor", "governors_replaced"}


def test_a_ruling_and_the_keys_of_a_log_are_shown_with_their_entries(office: Office) -> None:
    ruled(office)
    out = office("show", office.note).out
    assert "was readmitted: its history up to size 10" in out
    rows = [line.split() for line in out.splitlines() if f"{TAX}+" in line]
    assert [row[-2:] for row in rows] == [["0", "9"], ["10", "on"]]


def test_every_version_of_a_file_is_shown_with_its_quorum(office: Office) -> None:
    office.revised("--suspend", TAX)
    office.sign(1, 3)
    out = office("show", office.note).out
    assert "All versions" in out
    assert "3 of 4" in out
    said = json.loads(office("show", office.note, "--json").out)
    assert [(one["version"], one["voters"], one["needed"]) for one in said["versions"]] == [(1, 4, 3), (2, 3, 2)]


def test_an_empty_network_is_shown_too(office: Office) -> None:
    office.note.write_bytes(make_network(0).document)
    assert "0 members" in office("show", office.note).out


def test_add_member_begins_the_next_version_on_the_same_code(office: Office) -> None:
    assert office("add-member", office.note, office.member(4), office.member(5)).code == 0
    assert len(parse_draft(office.draft).members) == 6
    office.draft.unlink()
    assert "is a member already" in office("add-member", office.note, office.member(1)).err
