"""Trust policies: the format of c2sp.org/tlog-policy to its last octet, and what counts under one."""

from dataclasses import replace
from itertools import combinations
from pathlib import PurePosixPath

import pytest
from builders import logs_of, make_network, share_event, signer
from hypothesis import given
from hypothesis import strategies as st

from ledger import policy as policies
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import add_signatures, cosign
from ledger.errors import (
    InclusionError,
    InvalidSignatureError,
    PolicyError,
    ProofFormatError,
    QuorumError,
    TooLongError,
    TooManyError,
    UnsignedError,
    VerificationError,
)
from ledger.merkle import TreeSize
from ledger.note import COSIGNATURE, ED25519, Note, Signer
from ledger.policy import (
    POLICY_BYTES_MAX,
    Policy,
    PolicyGroup,
    PolicyLog,
    PolicyWitness,
    judge_by_policy,
    network_policy,
    parse_policy,
    shown,
    verify_proof_by_policy,
)
from ledger.proof import parse_proof

LOG = signer("foreign.example/log")
X1, X2, X3, Y1, Y2 = (signer(f"{name}.example/w", COSIGNATURE) for name in ("x1", "x2", "x3", "y1", "y2"))
CHECKPOINT = Checkpoint(LOG.name, TreeSize(7), bytes(32))
NOTE = sign_checkpoint(LOG, CHECKPOINT)

EXAMPLE = f"""\
# The example of the specification, with keys and some URLs.
log {LOG.verifier.vkey} https://foreign.example/tree

witness X1 {X1.verifier.vkey}
\t witness \t X2  {X2.verifier.vkey}\thttps://x2.example/w \t
witness X3 {X3.verifier.vkey}
group X-witnesses 2 X1 X2 X3
  # comments may be indented
witness Y1 {Y1.verifier.vkey}
witness Y2 {Y2.verifier.vkey}
group Y-witnesses any Y1 Y2

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()


def cosigned(*signers: Signer, note: Note = NOTE) -> Note:
    return add_signatures(note, [cosign(one, CHECKPOINT, time=1000 + n) for n, one in enumerate(signers)])


def test_the_example_of_the_specification_is_read() -> None:
    policy = parse_policy(EXAMPLE)
    assert policy.logs == (PolicyLog(LOG.verifier, "https://foreign.example/tree"),)
    assert policy.witnesses[1] == PolicyWitness("X2", X2.verifier, "https://x2.example/w")
    assert [one.url for one in policy.witnesses] == [None, "https://x2.example/w", None, None, None]
    assert policy.groups == (
        PolicyGroup("X-witnesses", 2, ("X1", "X2", "X3")),
        PolicyGroup("Y-witnesses", 1, ("Y1", "Y2")),
        PolicyGroup("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    assert policy.quorum == "X-and-Y"


def test_what_is_written_is_what_was_read() -> None:
    policy = parse_policy(EXAMPLE)
    written = policy.encode(comments=("one", "two"))
    assert written.startswith(b"# one\n# two\nlog foreign.example/log+")
    assert parse_policy(written) == policy


def test_the_quorum_of_the_example_takes_two_of_three_and_one_of_two() -> None:
    policy = parse_policy(EXAMPLE)
    every = (X1, X2, X3, Y1, Y2)
    for count in range(6):
        for chosen in combinations(every, count):
            wanted = len({X1, X2, X3} & set(chosen)) >= 2 and len({Y1, Y2} & set(chosen)) >= 1
            assert policy.satisfied_by([one.verifier for one in chosen]) is wanted


def test_a_quorum_may_be_one_witness_or_none() -> None:
    one = parse_policy(f"witness X1 {X1.verifier.vkey}\nquorum X1\n".encode())
    assert one.satisfied_by([X1.verifier])
    assert not one.satisfied_by([X2.verifier])
    assert parse_policy(b"quorum none\n") == Policy((), (), (), "none")
    assert parse_policy(b"quorum none\n").satisfied_by([])


def test_names_and_urls_are_octets_without_meaning() -> None:
    kelvin, letter = "\u212a".encode(), b"K"
    name = b"\xff\xfe#\xc2\xa0"  # no UTF-8, and then what Unicode calls a space
    lines = [
        b"witness %b %b https://\x80" % (name, X1.verifier.vkey.encode()),
        b"witness %b %b" % (kelvin, X2.verifier.vkey.encode()),
        b"witness %b %b" % (letter, X3.verifier.vkey.encode()),
        b"group 2 all %b %b" % (name, kelvin),
        b"quorum 2 ",
    ]
    policy = parse_policy(b"".join(line + b"\n" for line in lines))
    assert [one.name.encode("utf-8", "surrogateescape") for one in policy.witnesses] == [name, kelvin, letter]
    assert parse_policy(policy.encode()) == policy
    assert not policy.satisfied_by([X1.verifier, X3.verifier])
    assert policy.satisfied_by([X1.verifier, X2.verifier])
    assert shown(policy.witnesses[0].name).isascii()


W1, W2 = f"witness a {X1.verifier.vkey}\n", f"witness b {X2.verifier.vkey}\n"
LOGLINE = f"log {LOG.verifier.vkey}"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("quorum none", "line 1", "does not end in a newline"),
        ("", "quorum", "no line says"),
        ("# quorum none\n", "quorum", "no line says"),
        ("quorum none\nquorum none\n", "line 2", "already"),
        ("quorum\n", "line 1", "one name"),
        ("quorum a b\n", "line 1", "one name"),
        ("quorum a\n", "line 1", "no line above defines 'a'"),
        ("quorum a\n" + W1, "line 1", "no line above defines"),
        ("Quorum none\n", "line 1", "begins no line"),
        ("quorum none\r\n", "line 1", "octet 12 is a control character"),
        ("quorum\x0bnone\n", "line 1", "control character"),
        ("quorum none\n\x7f\n", "line 2", "control character"),
        ("quorum\u00a0none\n", "line 1", "begins no line"),
        ("log\n", "line 1", "a log has a key"),
        (f"{LOGLINE} url more\n", "line 1", "a log has a key"),
        ("log nokey\n", "line 1", "name+hash+base64"),
        (f"log {X1.verifier.vkey}\n", "line 1", "a key of type 0x01 belongs here, not of 0x04"),
        (f"{LOGLINE}\n\n{LOGLINE} url\n", "line 3", "public key is there already"),
        (W1.replace(" a ", " "), "line 1", "a witness has a name"),
        (W1.replace("\n", " url more\n"), "line 1", "a witness has a name"),
        (f"witness a {LOG.verifier.vkey}\n", "line 1", "of type 0x04 belongs here"),
        (W1 + W2.replace(" b ", " a "), "line 2", "'a' is taken"),
        (W1 + W1.replace(" a ", " c "), "line 2", "public key is there already"),
        (W1.replace(" a ", " none "), "line 1", "'none' is taken"),
        (W1 + "group g all\n", "line 2", "one member or more"),
        (W1 + "group a all a\n", "line 2", "'a' is taken"),
        (W1 + "group none all a\n", "line 2", "'none' is taken"),
        (W1 + "group g all none\n", "line 2", "defines 'none'"),
        (W1 + "group g all g\n", "line 2", "defines 'g'"),
        (W1 + "group g all b\n" + W2, "line 2", "defines 'b'"),
        (W1 + "group g any a a\n", "line 2", "counts once"),
        (W1 + W2 + "group g any a\ngroup h any b a\n", "line 4", "counts once"),
        (W1 + W2 + "group g any a\ngroup h 1 g\ngroup i 1 g b\n", "line 5", "'g' is a member of a group already"),
        (W1 + "group g 0 a\n", "line 2", "0 of 1 members"),
        (W1 + "group g 2 a\n", "line 2", "2 of 1 members"),
        (W1 + "group g 01 a\n", "line 2", "no threshold"),
        (W1 + "group g +1 a\n", "line 2", "no threshold"),
        (W1 + "group g ANY a\n", "line 2", "no threshold"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_line(text: str, field: str, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text.encode())
    assert refused.value.field == field
    assert words in refused.value.message


def test_the_same_key_may_name_a_log_and_a_witness() -> None:
    key = Signer("both", COSIGNATURE, LOG.seed).verifier
    assert len(parse_policy(f"{LOGLINE}\nwitness a {key.vkey}\nquorum a\n".encode()).witnesses) == 1


def test_limits_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLongError):
        parse_policy(b"#" * POLICY_BYTES_MAX + b"\n")
    for name, text in (
        ("LOGS_MAX", f"{LOGLINE}\n"), ("WITNESSES_MAX", W1), ("GROUPS_MAX", "group g any a\n"),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(policies, name, 0)
            with pytest.raises(TooManyError) as refused:
                parse_policy((text if name != "GROUPS_MAX" else W1 + text).encode())
            assert refused.value.field == f"line {1 + (name == 'GROUPS_MAX')}"


def test_forty_of_each_are_no_trouble() -> None:
    logs = [PolicyLog(signer(f"log-{n}").verifier, "u") for n in range(40)]
    witnesses = [PolicyWitness(f"w{n}", signer(f"w{n}", COSIGNATURE).verifier) for n in range(40)]
    groups = [PolicyGroup("g0", 1, ("w0",))]
    groups += [PolicyGroup(f"g{n}", 2, (f"g{n - 1}", f"w{n}")) for n in range(1, 40)]
    policy = parse_policy(Policy(tuple(logs), tuple(witnesses), tuple(groups), "g39").encode())
    keys = [one.key for one in witnesses]
    assert policy.satisfied_by(keys)
    assert all(not policy.satisfied_by([*keys[:n], *keys[n + 1 :]]) for n in range(40))


@given(st.binary(max_size=200) | st.text("logwitnesgrupqm0123any al\t\n#", max_size=200).map(str.encode))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    try:
        policy = parse_policy(data)
    except PolicyError:
        return
    assert parse_policy(policy.encode()) == policy


# What counts.


def test_a_checkpoint_with_the_quorum_counts() -> None:
    accepted = judge_by_policy(cosigned(Y2, X3, X1).encode(), parse_policy(EXAMPLE))
    assert accepted.checkpoint == CHECKPOINT
    assert accepted.witnesses == (("X1", 1002), ("X3", 1001), ("Y2", 1000))


def test_one_of_two_keys_of_a_log_is_enough_and_strangers_say_nothing() -> None:
    other = Signer(LOG.name, ED25519, bytes(32))
    lines = f"log {other.verifier.vkey}\n{LOGLINE}\n{W1}quorum a\n"
    note = cosigned(X1, Y1)
    assert judge_by_policy(note, parse_policy(lines.encode())).witnesses == (("a", 1000),)


def test_too_few_cosignatures_do_not_count() -> None:
    for few in ((), (X1, X2, X3), (X1, Y1, Y2)):
        with pytest.raises(QuorumError, match="no quorum 'X-and-Y'"):
            judge_by_policy(cosigned(*few), parse_policy(EXAMPLE))


def test_another_log_and_an_unsigned_one_do_not_count() -> None:
    policy = parse_policy(EXAMPLE)
    foreign = sign_checkpoint(signer("other.example/log"), replace(CHECKPOINT, origin="other.example/log"))
    with pytest.raises(UnsignedError, match="the policy has no log"):
        judge_by_policy(foreign, policy)
    text = CHECKPOINT.text
    with pytest.raises(UnsignedError, match="has not signed"):
        judge_by_policy(Note(text, (X1.cosign(text, 1), X2.cosign(text, 1), Y1.cosign(text, 1))), policy)
    with pytest.raises(UnsignedError):
        judge_by_policy(Note(text, (signer("nobody").sign(text),)), policy)


def test_a_false_signature_of_a_named_witness_fails_the_whole_checkpoint() -> None:
    false = replace(X2.cosign(CHECKPOINT.text, 5), blob=X2.cosign("another\n", 5).blob)
    with pytest.raises(InvalidSignatureError):
        judge_by_policy(add_signatures(cosigned(X1, X3, Y1), [false]), parse_policy(EXAMPLE))


# A network as a policy.


def test_a_network_is_a_policy_under_which_its_quorum_counts() -> None:
    net = make_network(5, suspended=[4])
    policy = network_policy(net.network)
    origins = net.origins[:4]
    assert [log.key.name for log in policy.logs] == origins == [one.name for one in policy.witnesses]
    assert policy.groups == (PolicyGroup("members", 3, tuple(origins)),)
    assert all(one.url == f"{net.network.members[one.name].url}/witness" for one in policy.witnesses)
    assert all(len(PurePosixPath(log.url or "").name) == 64 for log in policy.logs)
    log = logs_of(net)[0]
    assert judge_by_policy(log.cosigned(net.departments[:3]), policy).checkpoint.origin == log.origin
    with pytest.raises(QuorumError):
        judge_by_policy(log.cosigned([*net.departments[:2], net.departments[4]]), policy)


def test_a_network_without_members_is_no_policy() -> None:
    with pytest.raises(QuorumError, match="no active member"):
        network_policy(make_network(0).network)


# Proofs.


def test_a_proof_is_judged_by_a_policy_alone() -> None:
    net = make_network(4)
    log = logs_of(net)[0]
    log.append(share_event())
    policy = network_policy(net.network)
    proof, accepted = verify_proof_by_policy(log.proof(1), policy)
    assert (proof.index, proof.extra, accepted.checkpoint.size) == (1, log.raws[1], 2)
    assert len(accepted.witnesses) == 4
    assert verify_proof_by_policy(log.proof(0), policy, entry=log.raws[0])[0].index == 0
    with pytest.raises(InclusionError):
        verify_proof_by_policy(log.proof(1), policy, entry=log.raws[0])
    with pytest.raises(QuorumError):
        verify_proof_by_policy(log.proof(1, net.departments[:2]), policy)
    with pytest.raises(ProofFormatError):
        verify_proof_by_policy(log.cosigned().encode(), policy)


def test_a_proof_without_its_entry_needs_it_given() -> None:
    net = make_network(4)
    log = logs_of(net)[0]
    bare = replace(parse_proof(log.proof(0)), extra=None).encode()
    with pytest.raises(VerificationError, match="does not carry its entry"):
        verify_proof_by_policy(bare, network_policy(net.network))
    assert verify_proof_by_policy(bare, network_policy(net.network), entry=log.raws[0])[0].extra is None
