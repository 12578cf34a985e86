"""The network document: versions in an unbroken chain from a pinned fingerprint, thresholds, keys by size, quorums."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

import pytest
from builders import (
    EMPTY_HASH,
    Net,
    department,
    document_body,
    governors_of,
    make_network,
    next_version,
    sign_document,
    signer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import network
from ledger.encoding import JsonObject, canonical_json, encode_base64
from ledger.errors import (
    BadValueError,
    Base64Error,
    DecimalError,
    FingerprintError,
    FloatError,
    InvalidSignatureError,
    JsonError,
    KeyFormatError,
    LedgerError,
    MissingMemberError,
    NetworkError,
    NotCanonicalError,
    NoteError,
    OutOfRangeError,
    QuorumError,
    TooLongError,
    TooManyError,
    UnknownLogError,
    UnknownMemberError,
    UnsignedError,
    WrongTypeError,
)
from ledger.logkeys import LogKeys
from ledger.network import network_text, parse_network
from ledger.note import COSIGNATURE, ED25519, Note, Signer, VerifierKey, parse_note, parse_vkey
from ledger.versions import fingerprint_of, parse_fingerprint, split_versions, verify_chain, verify_next

NET = make_network(4, governors=3, threshold=2)
BODY = document_body([one.entry() for one in NET.departments], governors=NET.governors, threshold=2)


def mutants(data: bytes) -> Iterator[bytes]:
    """The bytes with one bit changed, or one byte left out."""
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        yield data[:at] + data[at + 1 :]


def body_with(number: int = 0, **members: Any) -> JsonObject:
    """The body with other members in the entry of one department."""
    entries = [one.entry(**(members if place == number else {})) for place, one in enumerate(NET.departments)]
    return {**BODY, "members": entries}


def text_of(body: JsonObject) -> str:
    return network_text("ordos", 1, EMPTY_HASH, body)


def verified(data: bytes, fingerprint: str = NET.fingerprint) -> bool:
    try:
        verify_chain(data, fingerprint)
    except LedgerError:
        return False
    return True


def versions(*documents: bytes) -> bytes:
    return b"\n".join(documents)


def second_version(net: Net = NET, **changes: Any) -> tuple[bytes, network.Network]:
    """A second version signed by all governors, and what it reads as."""
    document = next_version(net, {**BODY, "rules": "cn-2026", **changes})
    return document, parse_network(document)


def test_a_document_has_the_lines_of_the_protocol() -> None:
    lines = NET.document.decode().split("\n")
    assert lines[:5] == ["suyuan/network/v1", "ordos", "1", encode_base64(EMPTY_HASH), canonical_json(BODY)]
    assert [line[:18] for line in lines[5:]] == ["", *(f"— ordos/governor-{n}" for n in (1, 2, 3)), ""]
    assert NET.network.text_hash == sha256("\n".join(lines[:5]).encode() + b"\n").digest()
    assert (NET.network.name, NET.network.version, NET.network.previous) == ("ordos", 1, EMPTY_HASH)


def test_a_document_verifies_under_its_own_fingerprint_alone() -> None:
    assert verify_chain(NET.document, NET.fingerprint) == NET.network
    assert fingerprint_of(NET.network) == NET.fingerprint == NET.network.text_hash.hex()
    with pytest.raises(FingerprintError) as caught:
        verify_chain(NET.document, "0" * 64)
    assert NET.fingerprint in str(caught.value)
    assert "0" * 64 in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        NET.fingerprint,
        NET.fingerprint.upper(),
        f" {NET.fingerprint}\n",
        ":".join(NET.fingerprint[at : at + 2] for at in range(0, 64, 2)),
        "  ".join(NET.fingerprint[at : at + 8] for at in range(0, 64, 8)),
        "\n".join(NET.fingerprint[at : at + 16].upper() for at in range(0, 64, 16)),
    ],
)
def test_a_fingerprint_may_be_written_as_people_write_it(written: str) -> None:
    assert parse_fingerprint(written) == NET.fingerprint
    assert verify_chain(NET.document, written) == NET.network


@pytest.mark.parametrize("written", ["", "0" * 63, "0" * 65, "g" * 64, "٠" * 64, "0x" + "0" * 62, "0-" * 32, "\ud800"])
def test_what_is_no_fingerprint_is_refused(written: str) -> None:
    with pytest.raises(FingerprintError) as caught:
        parse_fingerprint(written)
    assert caught.value.field == "fingerprint"


def test_no_mutation_of_a_document_verifies() -> None:
    assert verified(NET.document)
    assert not [mutant for mutant in mutants(NET.document) if verified(mutant)]


def test_no_mutation_of_a_later_version_verifies() -> None:
    second, _ = second_version()
    file = versions(NET.document, second)
    assert verified(file)
    start = len(NET.document) + 1
    assert not [tail for tail in islice(mutants(second), 0, None, 3) if verified(file[:start] + tail)]


def test_version_1_counts_only_with_its_own_threshold() -> None:
    text = NET.network.text
    for signers, error in (
        (NET.governors[:1], QuorumError),
        ((NET.governors[0], NET.governors[0]), QuorumError),
        ((*NET.governors, NET.governors[0]), UnsignedError),
        ((signer("ordos/governor-9"),), UnsignedError),
        ((*NET.governors[:2], signer("ordos/governor-9")), UnsignedError),
    ):
        with pytest.raises(error) as caught:
            verify_chain(sign_document(text, signers), NET.fingerprint)
        assert caught.value.field == "signatures"
    for two in (NET.governors[:2], NET.governors[1:], NET.governors[::2], NET.governors[::-1]):
        assert verify_chain(sign_document(text, two), NET.fingerprint).text == text


def test_a_false_signature_fails_the_document_even_beyond_the_threshold() -> None:
    good = parse_note(NET.document)
    false = Note(good.text, (*good.signatures[:2], NET.governors[2].sign("another text\n")))
    with pytest.raises(InvalidSignatureError):
        verify_chain(false.encode(), NET.fingerprint)


def test_versions_follow_each_other_and_the_newest_one_counts() -> None:
    second, network_2 = second_version()
    third = next_version(
        Net(NET.departments, NET.governors, second, network_2), {**BODY, "rules": "cn-2027", "access": {"read": "open"}}
    )
    newest = verify_chain(versions(NET.document, second, third), NET.fingerprint)
    assert (newest.version, newest.body.rules, newest.body.access.read) == (3, "cn-2027", "open")
    assert newest.previous == network_2.text_hash


@pytest.mark.parametrize(
    ("order", "field"),
    [((0, 2), "line 3"), ((0, 1, 1), "line 3"), ((0, 2, 1), "line 3"), ((0, 0), "line 3"), ((0, 1, 2, 0), "line 3")],
)
def test_a_version_left_out_repeated_or_out_of_order_breaks_the_chain(order: tuple[int, ...], field: str) -> None:
    second, network_2 = second_version()
    third = next_version(Net(NET.departments, NET.governors, second, network_2), {**BODY, "rules": "cn-2027"})
    documents = (NET.document, second, third)
    with pytest.raises(NetworkError) as caught:
        verify_chain(versions(*(documents[number] for number in order)), NET.fingerprint)
    assert caught.value.field == field


def test_a_chain_begins_with_version_1() -> None:
    second, network_2 = second_version()
    with pytest.raises(NetworkError) as caught:
        verify_chain(second, fingerprint_of(network_2))
    assert caught.value.field == "line 3"


def test_a_version_that_names_another_predecessor_or_network_does_not_follow() -> None:
    other_text = network_text("ordos", 2, sha256(b"another past").digest(), BODY)
    with pytest.raises(NetworkError) as caught:
        verify_next(NET.network, parse_network(sign_document(other_text, NET.governors)))
    assert caught.value.field == "line 4"
    assert verify_next(NET.network, parse_network(next_version(NET, BODY))).before is NET.network
    foreign = parse_network(sign_document(network_text("baotou", 2, NET.network.text_hash, BODY), NET.governors))
    with pytest.raises(NetworkError) as caught:
        verify_next(NET.network, foreign)
    assert caught.value.field == "line 2"


def test_new_governors_need_the_old_threshold_and_their_own() -> None:
    old, new = NET.governors, tuple(signer(f"ordos/new-{number}") for number in range(2))
    body = document_body([one.entry() for one in NET.departments], governors=new, threshold=2)
    for signers, error in (
        ((*old[:2], *new), None),
        ((*old, *new), None),
        ((*old[:1], *new), QuorumError),
        ((*old[:2], *new[:1]), QuorumError),
        (old, UnsignedError),
        (new, UnsignedError),
    ):
        file = versions(NET.document, next_version(NET, body, signed_by=signers))
        if error is None:
            assert verify_chain(file, NET.fingerprint).version == 2
        else:
            with pytest.raises(error):
                verify_chain(file, NET.fingerprint)


def test_a_stranger_may_not_sign_along() -> None:
    stranger = signer("ordos/governor-9")
    with pytest.raises(UnsignedError) as caught:
        verify_next(NET.network, parse_network(next_version(NET, BODY, signed_by=(*NET.governors, stranger))))
    assert "line 4" in str(caught.value)


def test_a_file_of_versions_is_split_where_a_document_begins() -> None:
    second, _ = second_version()
    assert split_versions(versions(NET.document, second)) == [NET.document, second]
    assert split_versions(NET.document) == [NET.document]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NetworkError),
        (b"\n" + NET.document, NetworkError),
        (b"\xef\xbb\xbf" + NET.document, NetworkError),
        (NET.document + b"\xff", NetworkError),
        (b"suyuan/network/v2\n", NetworkError),
        (NET.document + NET.document, NetworkError),
        (NET.document + b"\n\n" + NET.document, NoteError),
        (NET.document + b"\n", NoteError),
        (NET.document + b"\n\n", NoteError),
        (b"suyuan/network/v1", NoteError),
        (b"suyuan/network/v1\n\n" * 3, NoteError),
        (b"suyuan/network/v1\n\n" * 1001, TooManyError),
    ],
)
def test_a_file_with_anything_else_in_it_is_refused(data: bytes, error: type[LedgerError]) -> None:
    with pytest.raises(LedgerError) as caught:
        verify_chain(data, NET.fingerprint)
    assert type(caught.value) is error
    assert caught.value.field


def test_only_the_first_version_is_read_before_the_fingerprint_is_known_to_be_right() -> None:
    with pytest.raises(FingerprintError):
        verify_chain(versions(NET.document, b"suyuan/network/v1\nnonsense\n"), "0" * 64)


@pytest.mark.parametrize(
    ("lines", "error", "field"),
    [
        ({0: "suyuan/network/v2"}, NetworkError, "line 1"),
        ({4: canonical_json(BODY) + "\nmore"}, NetworkError, "line 1"),
        ({1: ""}, NetworkError, "line 2"),
        ({1: "Ordos"}, NetworkError, "line 2"),
        ({1: "-ordos"}, NetworkError, "line 2"),
        ({1: "x" * 65}, NetworkError, "line 2"),
        ({2: "01"}, DecimalError, "line 3"),
        ({2: "0"}, NetworkError, "line 4"),
        ({2: "2"}, NetworkError, "line 4"),
        ({3: encode_base64(bytes(32))}, NetworkError, "line 4"),
        ({3: "AA=="}, Base64Error, "line 4"),
        ({4: "[]"}, WrongTypeError, "line 5"),
        ({4: "{}"}, MissingMemberError, "governors"),
        ({4: '{"a": 1}'}, NotCanonicalError, "line 5"),
        ({4: '{"a":1.5}'}, FloatError, "line 5"),
    ],
)
def test_a_document_of_another_form_is_refused_with_its_line(
    lines: dict[int, str], error: type[LedgerError], field: str
) -> None:
    parts = NET.network.text.split("\n")
    for number, line in lines.items():
        parts[number] = line
    with pytest.raises(LedgerError) as caught:
        parse_network(sign_document("\n".join(parts), NET.governors))
    assert (type(caught.value), caught.value.field) == (error, field)


KEY_0 = NET.departments[0].log.verifier.vkey
KEY_A = Signer(NET.departments[0].origin, ED25519, bytes(range(32))).verifier.vkey
KEY_B = Signer(NET.departments[0].origin, ED25519, bytes(range(1, 33))).verifier.vkey


def spans(*parts: tuple[str, int, int | None]) -> list[JsonObject]:
    """Log keys as a document writes them."""
    return [
        {"key": key, "from": start} if until is None else {"key": key, "from": start, "until": until}
        for key, start, until in parts
    ]


@pytest.mark.parametrize(
    ("members", "error", "field"),
    [
        ({"origin": "police"}, BadValueError, "members[0].origin"),
        ({"origin": "x" * 125 + "/log"}, TooLongError, "members[0].origin"),
        ({"names": {"zh": "公安局"}}, MissingMemberError, "members[0].names.en"),
        ({"names": {"zh": "公安局", "en": " Police"}}, BadValueError, "members[0].names.en"),
        ({"code": "lower"}, BadValueError, "members[0].code"),
        ({"code": "1" * 33}, BadValueError, "members[0].code"),
        ({"level": "village"}, BadValueError, "members[0].level"),
        ({"region": "1"}, BadValueError, "members[0].region"),
        ({"roles": []}, BadValueError, "members[0].roles"),
        ({"roles": ["department"] * 2}, NetworkError, "members[0].roles"),
        ({"roles": ["department"] * 5}, TooManyError, "members[0].roles"),
        ({"roles": ["king"]}, BadValueError, "members[0].roles[0]"),
        ({"url": "ftp://x"}, BadValueError, "members[0].url"),
        ({"url": "https://x/"}, BadValueError, "members[0].url"),
        ({"url": "https://x?y"}, BadValueError, "members[0].url"),
        ({"url": "https://x y"}, BadValueError, "members[0].url"),
        ({"url": "https://x\n"}, JsonError, "body.members[0].url"),
        ({"url": "https://" + "x" * 493}, TooLongError, "members[0].url"),
        ({"sealing": "AA=="}, Base64Error, "members[0].sealing"),
        ({"status": "dead"}, BadValueError, "members[0].status"),
        ({"status": 1}, BadValueError, "members[0].status"),
        ({"cosigner": NET.departments[0].log.verifier.vkey}, BadValueError, "members[0].cosigner"),
        ({"cosigner": "key"}, BadValueError, "members[0].cosigner"),
        ({"transport": NET.departments[0].cosigner.verifier.vkey}, BadValueError, "members[0].transport"),
        ({"extra": 1}, UnknownMemberError, "members[0].extra"),
        ({"log_keys": []}, BadValueError, "members[0].log_keys"),
        ({"log_keys": spans((KEY_0, 0, 0))}, OutOfRangeError, "members[0].log_keys[0].until"),
        ({"log_keys": spans((KEY_0, -1, None))}, OutOfRangeError, "members[0].log_keys[0].from"),
        ({"log_keys": spans((KEY_0, 1, None))}, NetworkError, "members[0].log_keys[0].from"),
        ({"log_keys": spans((KEY_0, 0, None), (KEY_A, 0, None))}, NetworkError, "members[0].log_keys[1].from"),
        (
            {"log_keys": spans((KEY_0, 0, None), (KEY_A, 9, None), (KEY_B, 8, None))},
            NetworkError,
            "members[0].log_keys[2].from",
        ),
        ({"log_keys": spans((KEY_0, 0, 10), (KEY_A, 9, None))}, NetworkError, "members[0].log_keys[0].until"),
        ({"log_keys": spans((KEY_0, 0, 8), (KEY_A, 9, None))}, NetworkError, "members[0].log_keys[0].until"),
        ({"log_keys": spans((KEY_0, 0, 9), (KEY_A, 9, 9))}, NetworkError, "members[0].log_keys[1].until"),
        ({"log_keys": spans((department(9).log.verifier.vkey, 0, None))}, KeyFormatError, "members[0].log_keys"),
        ({"log_keys": [{"key": KEY_0, "start": 0}]}, UnknownMemberError, "members[0].log_keys[0].start"),
        ({"log_keys": [{"key": KEY_0, "from": 0, "until": None}]}, WrongTypeError, "members[0].log_keys[0].until"),
        ({"log_keys": [{"key": KEY_0, "from": True}]}, WrongTypeError, "members[0].log_keys[0].from"),
        ({"log_keys": spans((KEY_0, 0, None)) * 101}, TooManyError, "members[0].log_keys"),
    ],
)
def test_a_member_is_held_to_its_schema(members: JsonObject, error: type[LedgerError], field: str) -> None:
    with pytest.raises(LedgerError) as caught:
        text_of(body_with(**members))
    assert (type(caught.value), caught.value.field) == (error, field)


@pytest.mark.parametrize(
    "members",
    [
        {"code": "11150600011690000X"},
        {"roles": ["authority", "auditor", "external", "department"]},
        {"url": "http://10.0.0.1:8080"},
        {"url": "https://x.example/suyuan/node"},
        {"url": "https://" + "x" * 492},
        {"level": "national", "region": "15", "status": "ended"},
        {"log_keys": spans((KEY_0, 0, 9), (KEY_A, 9, 10), (KEY_B, 10, None))},
        {"log_keys": spans((KEY_0, 0, None), (KEY_A, 9, 10))},
    ],
)
def test_a_member_within_its_schema_is_read(members: JsonObject) -> None:
    document = parse_network(sign_document(text_of(body_with(**members)), NET.governors))
    entry = document.members[NET.origins[0]].entry.model_dump(by_alias=True, exclude_none=True)
    assert entry == NET.departments[0].entry(**members)


def test_null_in_a_member_is_refused_wherever_it_stands() -> None:
    for body in (
        {**BODY, "members": [{**NET.departments[0].entry(), "code": None}]},
        {**BODY, "members": [None]},
        {**BODY, "quorum": None},
        {**BODY, "quorum": {"faults": None}},
        {**BODY, "governors": {"keys": [None], "threshold": 1}},
    ):
        with pytest.raises(WrongTypeError):
            text_of(body)


def same_key(role: str) -> JsonObject:
    """Members of a network of which one has taken a key of another role."""
    one, two = NET.departments[:2]
    taken = Signer(f"{two.name}/x", ED25519, one.log.seed).verifier.vkey
    if role == "log":
        return {"transport": taken}
    if role == "transport":
        return {"transport": Signer("x", ED25519, one.transport.seed).verifier.vkey}
    if role == "cosigner":
        return {"cosigner": Signer("x", COSIGNATURE, one.cosigner.seed).verifier.vkey}
    return {"transport": Signer("x", ED25519, NET.governors[0].seed).verifier.vkey}


@pytest.mark.parametrize("role", ["log", "transport", "cosigner", "governor"])
def test_each_key_has_one_owner_and_one_role(role: str) -> None:
    with pytest.raises(NetworkError, match=r"the key .* is there twice") as caught:
        text_of(body_with(1, **same_key(role)))
    assert caught.value.field == "members"


def test_two_keys_that_a_signature_line_could_not_tell_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def colliding(text: str) -> VerifierKey:
        """A key as somebody finds it who tries four thousand million of them: the ID of another one of its name."""
        key = parse_vkey(text)
        object.__setattr__(key, "key_id", b"same")
        return key

    monkeypatch.setattr(network, "_key", colliding)
    with pytest.raises(NetworkError, match=r"key name and ID tax.ordos.example/witness\+73616d65 is there twice"):
        text_of(body_with(1, transport=Signer(NET.departments[1].cosigner.name, ED25519, bytes(32)).verifier.vkey))


def test_an_origin_belongs_to_one_member() -> None:
    body = {**BODY, "members": [NET.departments[0].entry(), NET.departments[0].entry()]}
    with pytest.raises(NetworkError, match="origin"):
        text_of(body)


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"rules": ""}, BadValueError, "rules"),
        ({"access": {"read": "all"}}, BadValueError, "access.read"),
        ({"access": "open"}, WrongTypeError, "access"),
        ({"quorum": {"faults": -1}}, OutOfRangeError, "quorum.faults"),
        ({"quorum": {"faults": 4}}, NetworkError, "quorum.faults"),
        ({"quorum": {"size": 3}}, UnknownMemberError, "quorum.size"),
        ({"governors": {"keys": [], "threshold": 1}}, BadValueError, "governors.keys"),
        (
            {"governors": {"keys": [BODY["governors"]["keys"][0]], "threshold": 0}},
            OutOfRangeError,
            "governors.threshold",
        ),
        ({"governors": {"keys": [BODY["governors"]["keys"][0]], "threshold": 2}}, NetworkError, "governors.threshold"),
        ({"governors": {"keys": [BODY["governors"]["keys"][0]] * 2, "threshold": 2}}, NetworkError, "members"),
        ({"governors": {"keys": ["x"] * 26, "threshold": 2}}, TooManyError, "governors.keys"),
        ({"governors": {"keys": ["x"], "threshold": 1}}, BadValueError, "governors.keys[0]"),
        ({"name": "ordos"}, UnknownMemberError, "name"),
    ],
)
def test_the_rest_of_the_document_is_held_to_its_schema(
    changes: JsonObject, error: type[LedgerError], field: str
) -> None:
    with pytest.raises(LedgerError) as caught:
        text_of({**BODY, **changes})
    assert (type(caught.value), caught.value.field) == (error, field)


@pytest.mark.parametrize(
    ("body", "error"),
    [({"a": float("nan")}, FloatError), ({"é": 1}, JsonError), ({"a": "\ud800"}, JsonError), ({"a": 1.5}, FloatError)],
)
def test_a_body_that_has_no_canonical_form_is_refused_before_it_is_written(
    body: JsonObject, error: type[LedgerError]
) -> None:
    with pytest.raises(error):
        text_of(body)


def test_a_document_has_a_size_limit() -> None:
    with pytest.raises(TooLongError) as caught:
        parse_network(b"x" * (network.DOCUMENT_BYTES_MAX + 1))
    assert caught.value.limit == network.DOCUMENT_BYTES_MAX


def test_a_network_of_thousands_is_read_whole() -> None:
    size = 600  # each with three keys whose points are checked
    net = make_network(size, suspended=range(100, size))
    assert len(net.network.members) == size
    assert len(net.network.voters) == 100
    assert verify_chain(net.document, net.fingerprint) == net.network


def test_a_key_is_valid_from_its_first_index_until_the_size_at_which_it_ended() -> None:
    entry = spans((KEY_0, 0, 10), (KEY_A, 10, 12), (KEY_B, 12, 20))
    member = parse_network(sign_document(text_of(body_with(log_keys=entry)), NET.governors)).member(NET.origins[0])
    expected = [KEY_0] * 10 + [KEY_A] * 2 + [KEY_B] * 8
    assert [member.log_key_at(index).vkey for index in range(20)] == expected
    assert [member.checkpoint_key(size).vkey for size in range(1, 21)] == expected
    assert member.checkpoint_key(0).vkey == KEY_0
    refused: list[tuple[Callable[[int], VerifierKey], int]] = [(member.log_key_at, 20), (member.checkpoint_key, 21)]
    for ask, place in refused:
        with pytest.raises(UnsignedError) as caught:
            ask(place)
        assert caught.value.field == "log_keys"


def test_a_key_without_an_end_ends_where_the_next_one_begins() -> None:
    entry = spans((KEY_0, 0, None), (KEY_A, 7, None))
    member = parse_network(sign_document(text_of(body_with(log_keys=entry)), NET.governors)).member(NET.origins[0])
    assert [member.log_key_at(index).vkey for index in (0, 6, 7, 2**60)] == [KEY_0, KEY_0, KEY_A, KEY_A]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 12)), min_size=1, max_size=3),
    st.integers(0, 12),
    st.integers(1, 5),
)
def test_the_keys_within_a_stretch_are_those_at_its_indexes(
    found: list[tuple[int, int | None]], start: int, count: int
) -> None:
    names = (KEY_0, KEY_A, KEY_B)
    keys = LogKeys(
        "a/b", tuple((*one, parse_vkey(vkey)) for one, vkey in zip(sorted(found, key=str), names, strict=False))
    )

    def told(ask: Callable[[int], VerifierKey], index: int) -> VerifierKey | None:
        try:
            return ask(index)
        except UnsignedError:
            return None

    within = keys.within(start, start + count)
    for index in range(start, start + count):
        assert told(within, index) == told(keys.at, index)


@pytest.mark.parametrize("last_end", [None, 12])
def test_a_key_has_ended_where_it_says_so_or_where_the_next_one_begins(last_end: int | None) -> None:
    """Against the plain rule: a key that is valid below an index, and not from there on, has ended."""
    keys = spans((KEY_0, 0, 4), (KEY_A, 4, None), (KEY_B, 9, last_end))
    member = parse_network(sign_document(text_of(body_with(log_keys=keys)), NET.governors)).member(NET.origins[0])
    ends = {KEY_0: 4, KEY_A: 9, **({KEY_B: last_end} if last_end is not None else {})}
    for index in range(15):
        assert [key.vkey for key in member.ended_keys(index)] == [key for key, end in ends.items() if end <= index]


def test_a_member_is_found_by_its_origin_and_a_stranger_is_unknown() -> None:
    member = NET.network.member(NET.origins[2])
    assert (member.origin, member.url, member.active) == (NET.origins[2], "https://health.ordos.example", True)
    assert member.cosigner == NET.departments[2].cosigner.verifier
    assert member.transport == NET.departments[2].transport.verifier
    with pytest.raises(UnknownLogError) as caught:
        NET.network.member("x" * 1000)
    assert (caught.value.field, caught.value.code) == ("log", "unknown_log")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("members", range(1, 51))
def test_the_quorum_is_safe_and_can_be_reached_with_any_number_of_members(members: int) -> None:
    net = make_network(members).network
    n, f, k = members, net.faults, net.quorum
    assert f == (n - 1) // 3
    assert k == (n + f) // 2 + 1
    assert 2 * k - n > f  # any two quorums share more members than can lie
    assert n - f >= k  # the honest ones can reach it alone


@pytest.mark.parametrize(("faults", "quorum"), [(0, 3), (1, 3), (2, 4), (3, 4)])
def test_an_explicit_number_of_faults_takes_the_place_of_the_default(faults: int, quorum: int) -> None:
    net = make_network(4, faults=faults).network
    assert (net.faults, net.quorum) == (faults, quorum)
    assert 2 * net.quorum - 4 > faults


@pytest.mark.parametrize("members", range(1, 12))
def test_a_document_in_which_more_must_cosign_than_there_are_is_refused(members: int) -> None:
    assert make_network(members, faults=members - 1).network.quorum == members
    with pytest.raises(NetworkError) as caught:
        make_network(members, faults=members)
    assert (caught.value.field, caught.value.limit) == ("quorum.faults", members - 1)


def test_a_quorum_that_no_checkpoint_has_room_for_is_refused() -> None:
    assert make_network(148).network.quorum == 99  # and the log's own signature
    for size, faults in ((149, None), (198, 0)):
        with pytest.raises(NetworkError) as caught:
            make_network(size, faults=faults)
        assert (caught.value.field, caught.value.limit) == ("members", 99)
    assert make_network(197, faults=0).network.quorum == 99


def test_the_suspended_and_the_ended_do_not_vote_and_stay_known() -> None:
    net = make_network(7, suspended=[1, 2], entries={3: {"status": "ended"}}).network
    assert [member.origin for member in net.voters.values()] == [department(number).origin for number in (0, 4, 5, 6)]
    assert (net.faults, net.quorum) == (1, 3)
    assert len(net.members) == len(net.cosigners) == 7
    assert not net.member(department(3).origin).active


def test_a_network_without_voters_confirms_nothing() -> None:
    for net in (make_network(0), make_network(2, suspended=[0, 1]), make_network(1, faults=5, suspended=[0])):
        assert not net.network.voters
        assert net.network.quorum >= 1


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode), st.integers(0, 4000), st.integers(0, 300))
def test_hostile_documents_raise_nothing_but_ledger_errors(data: bytes, start: int, length: int) -> None:
    mutated = NET.document[:start] + data + NET.document[start + length :]
    for candidate in (data, b"suyuan/network/v1\nordos\n1\n" + data, mutated, versions(NET.document, data)):
        if candidate != NET.document:
            assert not verified(candidate)
        assert not verified(candidate, sha256(data).hexdigest())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(BODY["governors"]["keys"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BODY, *BODY["members"][0]]), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*BODY, "quorum"]), json_values),
    st.dictionaries(st.sampled_from(list(BODY["members"][0])), json_values),
)
def test_hostile_bodies_raise_nothing_but_ledger_errors(changes: JsonObject, members: JsonObject) -> None:
    for body in ({**BODY, **changes}, body_with(**members) if "origin" not in members else changes):
        try:
            text = text_of(body)
        except LedgerError:
            continue
        assert parse_network(sign_document(text, governors_of(3))).text == text


def chain_of(*bodies: JsonObject) -> network.Network:
    """The newest of the versions with these bodies, the first of them version 1."""
    first = sign_document(text_of(bodies[0]), NET.governors)
    documents, newest = [first], parse_network(first)
    for body in bodies[1:]:
        documents.append(next_version(Net(NET.departments, NET.governors, documents[-1], newest), body))
        newest = parse_network(documents[-1])
    return verify_chain(versions(*documents), fingerprint_of(parse_network(first)))


def test_a_network_knows_the_versions_before_it() -> None:
    newest = chain_of(BODY, {**BODY, "rules": "cn-2026"}, {**BODY, "rules": "cn-2027"})
    assert [one.body.rules for one in newest.versions] == ["cn-2025", "cn-2026", "cn-2027"]
    assert newest.versions[-1] is newest
    assert [one.before for one in newest.versions] == [None, *newest.versions[:-1]]
    assert newest.openings == {one.text_hash for one in newest.versions}
    assert parse_network(NET.document).versions == (NET.network,)


RULING = {"size": 7, "root": encode_base64(sha256(b"ruling").digest())}
LATER_RULING = {"size": 9, "root": encode_base64(sha256(b"later").digest())}


def test_what_was_signed_before_stays_verifiable_in_every_version() -> None:
    newest = chain_of(
        BODY,
        body_with(log_keys=spans((KEY_0, 0, None), (KEY_A, 7, None)), status="suspended"),
        body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, None)), readmitted=RULING),
        body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, 9), (KEY_B, 9, None)), readmitted=LATER_RULING),
        body_with(
            log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, 9), (KEY_B, 9, 11)), readmitted=LATER_RULING, status="ended"
        ),
    )
    rulings = [one.member(NET.origins[0]).readmitted for one in newest.versions]
    assert [ruling and (ruling.size, ruling.root) for ruling in rulings] == [
        None,
        None,
        (7, sha256(b"ruling").digest()),
        *[(9, sha256(b"later").digest())] * 2,
    ]


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        (BODY, {**BODY, "members": [one.entry() for one in NET.departments[1:]]}, "members"),
        (BODY, body_with(log_keys=spans((KEY_A, 0, None))), "log_keys"),
        (BODY, body_with(log_keys=spans((KEY_A, 0, 7), (KEY_0, 7, None))), "log_keys"),
        (
            body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, None))),
            body_with(log_keys=spans((KEY_0, 0, None))),
            "log_keys",
        ),
        (
            body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, None))),
            body_with(log_keys=spans((KEY_0, 0, 8), (KEY_A, 8, None))),
            "log_keys",
        ),
        (body_with(log_keys=spans((KEY_0, 0, 7))), BODY, "log_keys"),
        (
            body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, 9))),
            body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, 10))),
            "log_keys",
        ),
        *(
            (
                body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, 9), (KEY_B, 9, None)), readmitted=LATER_RULING),
                body_with(log_keys=spans((KEY_0, 0, 7), (KEY_A, 7, 9), (KEY_B, 9, None)), readmitted=ruling),
                "readmitted",
            )
            for ruling in (None, RULING, {**LATER_RULING, "root": RULING["root"]})
        ),
    ],
)
def test_a_version_cannot_take_away_what_must_stay_verifiable(
    before: JsonObject, after: JsonObject, field: str
) -> None:
    assert chain_of(before, before).version == 2
    with pytest.raises(NetworkError) as caught:
        chain_of(before, after)
    assert caught.value.field == field
    assert NET.origins[0] in str(caught.value)


@pytest.mark.parametrize("keys", [[(KEY_0, 0, None)], [(KEY_0, 0, 8), (KEY_A, 8, None)]])
def test_a_log_is_readmitted_with_a_new_key_only(keys: list[tuple[str, int, int | None]]) -> None:
    with pytest.raises(NetworkError) as caught:
        text_of(body_with(log_keys=spans(*keys), readmitted=RULING))
    assert caught.value.field == "members[0].readmitted"
