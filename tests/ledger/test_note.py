"""Notes and keys: foreign vectors, every mutation, and the line between bad and unknown."""

import base64
import pickle
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
import shared_vectors
from hypothesis import given
from hypothesis import strategies as st

from ledger import note
from ledger.errors import (
    InvalidSignatureError,
    KeyFormatError,
    LedgerError,
    NoteError,
    TooLongError,
    TooManyError,
    UnsignedError,
)
from ledger.note import COSIGNATURE, ED25519, Note, Signature, Signer, VerifierKey

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
BLOB = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
NOTE = f"This is an example message.\n\n— example.com/foo {BLOB}\n".encode()
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
SKEY_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

LOG = Signer("police.ordos.example/log", ED25519, bytes(range(32)))
WITNESS = Signer("tax.ordos.example/witness", COSIGNATURE, bytes(range(32, 64)))
TEXT = "police.ordos.example/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

SMALL_ORDER = [  # the points of order 1, 2, 4 and 8, and non-canonical spellings of them
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def mutants(data: bytes) -> Iterator[bytes]:
    """The bytes with one bit changed, one byte left out or doubled, or cut short."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        yield data[:at]
        if data[at : at + 1] != data[at + 1 : at + 2]:
            yield data[:at] + data[at + 1 :]
        yield data[:at] + data[at : at + 1] + data[at:]


def raw_vkey(name: str, key_type: int, public_key: bytes) -> str:
    """A vkey with the right hash, whatever it holds."""
    return raw_key("", name, key_type, public_key, public_key)


def raw_key(prefix: str, name: str, key_type: int, public_key: bytes, data: bytes) -> str:
    digest = sha256(name.encode(errors="replace") + b"\n" + bytes([key_type]) + public_key).hexdigest()
    return f"{prefix}{name}+{digest[:8]}+{base64.b64encode(bytes([key_type]) + data).decode()}"


def opened(data: bytes, *keys: VerifierKey) -> tuple[note.VerifiedSignature, ...]:
    return note.open_note(note.parse_note(data), keys)


def test_the_example_of_the_specification_opens() -> None:
    key = note.parse_vkey(VKEY)
    assert (key.name, key.algorithm, key.key_id.hex(), key.vkey) == ("example.com/foo", ED25519, "530d903a", VKEY)
    parsed = note.parse_note(NOTE)
    assert parsed.text == "This is an example message.\n"
    assert parsed.encode() == NOTE
    assert parsed.signatures[0].line == f"— example.com/foo {BLOB}\n"
    (verified,) = note.open_note(parsed, [key])
    assert (verified.key, verified.signature, verified.time) == (key, parsed.signatures[0], None)


def test_a_key_of_golang_signs_what_its_verifier_key_opens() -> None:
    signer = note.parse_skey(SKEY)
    assert signer.skey == SKEY
    assert signer.verifier == note.parse_vkey(SKEY_VKEY)
    signed = Note("text\n", (signer.sign("text\n"),))
    assert opened(signed.encode(), signer.verifier)[0].key == signer.verifier


def test_every_mutation_of_a_signed_note_is_rejected() -> None:
    key = note.parse_vkey(VKEY)
    for mutant in mutants(NOTE):
        with pytest.raises(LedgerError):
            opened(mutant, key)


def test_every_mutation_of_a_cosigned_note_is_rejected() -> None:
    data = Note(TEXT, (WITNESS.cosign(TEXT, 1_679_315_147),)).encode()
    assert opened(data, WITNESS.verifier)[0].time == 1_679_315_147
    for mutant in mutants(data):
        with pytest.raises(LedgerError):
            opened(mutant, WITNESS.verifier)


def test_a_cosignature_commits_to_its_time() -> None:
    signature = WITNESS.cosign(TEXT, 1234)
    assert signature.blob[:8] == (1234).to_bytes(8, "big")
    assert WITNESS.verifier.verify(TEXT, signature) == WITNESS.verifier.verify(TEXT.encode(), signature) == 1234
    message = b"cosignature/v1\ntime 1234\n" + TEXT.encode()
    assert note.verify_detached(WITNESS.verifier.public_key, message, signature.blob[8:])
    for time in (0, 1233, 1235, 2**63, 2**64 - 1):
        moved = Signature(
            name=signature.name, key_id=signature.key_id, blob=time.to_bytes(8, "big") + signature.blob[8:]
        )
        with pytest.raises(InvalidSignatureError):
            WITNESS.verifier.verify(TEXT, moved)


@pytest.mark.parametrize("time", [0, 1, 2**63 - 1])
def test_a_cosignature_may_have_any_time_below_2_to_the_63(time: int) -> None:
    assert WITNESS.verifier.verify(TEXT, WITNESS.cosign(TEXT, time)) == time


def test_a_cosignature_of_a_time_from_2_to_the_63_on_is_rejected_though_the_key_signed_it() -> None:
    time = 2**63
    blob = note.sign_detached(WITNESS.secret_key, b"cosignature/v1\ntime %d\n" % time + TEXT.encode())
    signature = Signature(name=WITNESS.name, key_id=WITNESS.verifier.key_id, blob=time.to_bytes(8, "big") + blob)
    with pytest.raises(InvalidSignatureError):
        WITNESS.verifier.verify(TEXT, signature)


@pytest.mark.parametrize("blob", [b"\x00", bytes(7), bytes(8), bytes(63), bytes(65), bytes(71), bytes(73)])
def test_a_signature_of_the_wrong_length_is_invalid(blob: bytes) -> None:
    for signer in (LOG, WITNESS):
        with pytest.raises(InvalidSignatureError):
            signer.verifier.verify(
                TEXT, Signature(name=signer.name, key_id=signer.verifier.key_id, blob=blob + b"\x00")
            )


def test_a_signature_that_borrows_a_byte_from_the_text_is_invalid() -> None:
    signature = LOG.sign(TEXT)
    shifted = Signature(name=LOG.name, key_id=signature.key_id, blob=signature.blob + TEXT[:1].encode())
    with pytest.raises(InvalidSignatureError):
        LOG.verifier.verify(TEXT[1:], shifted)
    assert not note.verify_detached(LOG.verifier.public_key, TEXT[1:].encode(), shifted.blob)


def test_a_wrong_signature_of_a_known_key_fails_the_whole_note() -> None:
    good, wrong = LOG.sign(TEXT), WITNESS.cosign("other\n", 5)
    for signatures in ((good, wrong), (wrong, good)):
        with pytest.raises(InvalidSignatureError):
            note.open_note(Note(TEXT, signatures), [LOG.verifier, WITNESS.verifier])
        (verified,) = note.open_note(Note(TEXT, signatures), [LOG.verifier])
        assert verified.key == LOG.verifier


def test_unknown_keys_are_skipped_and_alone_they_leave_a_note_unsigned() -> None:
    signed = Note(TEXT, (LOG.sign(TEXT),))
    with pytest.raises(UnsignedError):
        note.open_note(signed, [])
    with pytest.raises(UnsignedError):
        note.open_note(signed, [WITNESS.verifier])


def test_name_and_key_id_must_both_match() -> None:
    right = LOG.sign(TEXT)
    other_name = Signature(name="other", key_id=right.key_id, blob=right.blob)
    other_id = Signature(name=right.name, key_id=b"\x00\x00\x00\x00", blob=right.blob)
    for signature in (other_name, other_id):
        with pytest.raises(UnsignedError):
            note.open_note(Note(TEXT, (signature,)), [LOG.verifier])
        with pytest.raises(UnsignedError):
            LOG.verifier.verify(TEXT, signature)


def test_one_public_key_in_two_roles_is_two_keys() -> None:
    as_log = Signer("both", ED25519, bytes(32))
    as_witness = Signer("both", COSIGNATURE, bytes(32))
    assert as_log.verifier.public_key == as_witness.verifier.public_key
    assert as_log.verifier.key_id != as_witness.verifier.key_id
    with pytest.raises(UnsignedError):
        note.open_note(Note(TEXT, (as_log.sign(TEXT),)), [as_witness.verifier])


def test_a_key_that_signed_twice_counts_once() -> None:
    first, second = WITNESS.cosign(TEXT, 1), WITNESS.cosign(TEXT, 2)
    (verified,) = note.open_note(Note(TEXT, (first, second)), [WITNESS.verifier, WITNESS.verifier])
    assert (verified.time, verified.signature) == (1, first)


def test_a_key_that_signed_once_rightly_and_once_wrongly_fails_the_note() -> None:
    with pytest.raises(InvalidSignatureError):
        note.open_note(Note(TEXT, (WITNESS.cosign(TEXT, 1), WITNESS.cosign("x\n", 1))), [WITNESS.verifier])


def test_two_known_keys_of_one_name_and_id_are_refused() -> None:
    other = VerifierKey(LOG.name, ED25519, WITNESS.verifier.public_key)
    object.__setattr__(other, "key_id", LOG.verifier.key_id)
    with pytest.raises(KeyFormatError, match="share"):
        note.open_note(Note(TEXT, (LOG.sign(TEXT),)), [LOG.verifier, other])


def test_verified_signatures_come_in_the_order_of_the_lines() -> None:
    signers = [Signer(f"key{number}", ED25519, bytes([number]) * 32) for number in range(5)]
    signed = Note(TEXT, tuple(signer.sign(TEXT) for signer in signers))
    verified = note.open_note(signed, [signer.verifier for signer in reversed(signers)])
    assert [one.key.name for one in verified] == ["key0", "key1", "key2", "key3", "key4"]


LINE = f"— example.com/foo {BLOB}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n" + LINE,
        "text" + LINE,
        "text\n\n" + LINE[:-1],
        "text\n\n" + LINE + "\n",
        "text\n\n" + LINE + "text\n",
        "text\n\n" + LINE + "\n\n",
        "text\n\ntext\n" + LINE,
        "\n" + LINE,
        LINE,
        "text\n\n" + LINE.replace("—", "-"),
        "text\n\n" + LINE.replace("—", "–"),
        "text\n\n" + LINE.replace("— ", "—"),
        "text\n\n" + LINE.replace("— ", "—  "),
        "text\n\n " + LINE,
        "text\n\n" + LINE.replace("\n", " \n"),
        "text\n\n" + LINE.replace("\n", "\r\n"),
        "text\r\n\r\n" + LINE,
        "text\n\n" + LINE.replace("foo ", "foo  "),
        "text\n\n" + LINE.replace("foo ", "foo\u00a0"),
        "text\n\n" + LINE.replace("foo", "f+o"),
        "text\n\n" + LINE.replace("foo", "f o"),
        "text\n\n" + LINE.replace("foo", "f\u2003o"),
        "text\n\n" + LINE.replace("foo", "f\u3000o"),
        "text\n\n" + LINE.replace("foo", "f\u2028o"),
        "text\n\n" + LINE.replace("foo", "f\u0085o"),
        "text\n\n" + LINE.replace("example.com/foo", ""),
        "text\n\n" + LINE.replace("example.com/foo ", ""),
        "text\n\n" + LINE.replace("=", ""),
        "text\n\n" + LINE.replace("=", "=="),
        "text\n\n" + LINE.replace("aQM=", "aQN="),
        "text\n\n" + LINE.replace("Uw2QOkn8", "Uw2QOkn-"),
        "text\n\n— example.com/foo \n",
        "text\n\n— example.com/foo\n",
        "text\n\n— example.com/foo Uw2QOg==\n",
        "text\n\n— example.com/foo Uw2Q\n",
        "te\x00xt\n\n" + LINE,
        "te\txt\n\n" + LINE,
        "te\x1fxt\n\n" + LINE,
        "te\rxt\n\n" + LINE,
        "te\x0bxt\n\n" + LINE,
    ],
)
def test_what_is_not_a_note_is_rejected(text: str) -> None:
    with pytest.raises(NoteError):
        note.parse_note(text.encode())


@pytest.mark.parametrize("data", [b"\xff", b"te\xc3\n\n" + LINE.encode(), b"te\xed\xa0\x80\n\n" + LINE.encode()])
def test_a_note_that_is_not_utf_8_is_rejected(data: bytes) -> None:
    with pytest.raises(NoteError, match="UTF-8"):
        note.parse_note(data)


@pytest.mark.parametrize("text", ["\n", "\n\n", "a\n\nb\n", "a\n\n", "\n— not a signature\n", "溯源\x7f\u2028\n"])
def test_a_text_may_hold_empty_lines_and_any_unicode(text: str) -> None:
    signed = Note(text, (LOG.sign(text),))
    assert note.parse_note(signed.encode()) == signed
    assert opened(signed.encode(), LOG.verifier)


def test_a_hundred_signatures_are_read_and_one_more_is_not() -> None:
    assert len(note.parse_note(b"text\n\n" + LINE.encode() * 100).signatures) == 100
    with pytest.raises(TooManyError) as caught:
        note.parse_note(b"text\n\n" + LINE.encode() * 101)
    assert caught.value.limit == 100


def test_a_note_is_read_up_to_its_size_limit() -> None:
    assert note.parse_note(NOTE, size_max=len(NOTE)).encode() == NOTE
    with pytest.raises(TooLongError):
        note.parse_note(NOTE, size_max=len(NOTE) - 1)
    with pytest.raises(TooLongError):
        note.parse_note(bytes(note.NOTE_BYTES_MAX + 1))


NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: not any(c.isspace() or c == "+" or c < " " or "\ud800" <= c <= "\udfff" for c in name)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in range(32) if n != 10]))


@given(TEXTS, st.lists(st.tuples(NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1)), min_size=1))
def test_every_note_is_read_as_it_was_written(text: str, parts: list[tuple[str, bytes, bytes]]) -> None:
    signatures = tuple(Signature(name=name, key_id=key_id, blob=blob) for name, key_id, blob in parts[:100])
    written = Note(text + "\n", signatures)
    assert note.parse_note(written.encode()) == written


@given(st.binary(max_size=300) | st.text("a\n— +=A", max_size=40).map(str.encode))
def test_what_is_read_as_a_note_is_written_the_same(data: bytes) -> None:
    for candidate in (data, data + b"\n\n" + LINE.encode(), b"text\n\n" + data):
        try:
            parsed = note.parse_note(candidate)
        except NoteError:
            continue
        assert parsed.encode() == candidate


@given(NAMES, st.sampled_from([ED25519, COSIGNATURE]), st.binary(min_size=32, max_size=32))
def test_every_key_is_read_as_it_was_written(name: str, algorithm: int, seed: bytes) -> None:
    signer = Signer(name, algorithm, seed)
    assert note.parse_vkey(signer.verifier.vkey) == signer.verifier
    again = note.parse_skey(signer.skey)
    assert (again.name, again.algorithm, again.seed, again.skey) == (name, algorithm, seed, signer.skey)


def test_every_mutation_of_a_vkey_is_rejected() -> None:
    for mutant in mutants(VKEY.encode()):
        with pytest.raises(KeyFormatError):
            note.parse_vkey(mutant.decode("latin-1"))


@pytest.mark.parametrize("public_key", SMALL_ORDER)
def test_a_public_key_of_small_order_is_refused(public_key: str) -> None:
    data = bytes.fromhex(public_key)
    with pytest.raises(KeyFormatError):
        note.check_public_key(data)
    with pytest.raises(KeyFormatError):
        note.parse_vkey(raw_vkey("name", ED25519, data))


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "+",
        "++",
        "name",
        "name+00000000",
        "name+00000000+",
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("530d903a", "530d903"),
        VKEY.replace("530d903a", "0530d903a"),
        VKEY + "\n",
        " " + VKEY,
        SKEY,
        raw_vkey("", ED25519, LOG.verifier.public_key),
        raw_vkey("a b", ED25519, LOG.verifier.public_key),
        raw_vkey("a+b", ED25519, LOG.verifier.public_key),
        raw_vkey("a\u00a0b", ED25519, LOG.verifier.public_key),
        raw_vkey("a\nb", ED25519, LOG.verifier.public_key),
        raw_vkey("a\x00b", ED25519, LOG.verifier.public_key),
        raw_vkey("a\ud800b", ED25519, LOG.verifier.public_key),
        *(raw_vkey("name", other, LOG.verifier.public_key) for other in (0, 2, 3, 5, 6, 0xFA, 0xFF)),
        raw_vkey("name", ED25519, b""),
        raw_vkey("name", ED25519, LOG.verifier.public_key[:31]),
        raw_vkey("name", ED25519, LOG.verifier.public_key + b"\x00"),
        raw_vkey("name", ED25519, b"\x02" + bytes(31)),
    ],
)
def test_what_is_not_a_sound_vkey_is_rejected(vkey: str) -> None:
    with pytest.raises(KeyFormatError):
        note.parse_vkey(vkey)


@pytest.mark.parametrize("name", ["name", "溯源.example/log", "a=b/c", "—"])
def test_a_key_may_have_any_name_without_space_or_plus(name: str) -> None:
    assert note.parse_vkey(raw_vkey(name, COSIGNATURE, LOG.verifier.public_key)).name == name


def test_a_damaged_secret_key_is_rejected_without_showing_it() -> None:
    secret = SKEY.rpartition("+c74f20a3+")[2]
    for mutant in mutants(SKEY.encode()):
        with pytest.raises(KeyFormatError) as caught:
            note.parse_skey(mutant.decode("latin-1"))
        told = f"{caught.value!r} {caught.value} {caught.value.__context__!r}"
        assert not any(secret[at : at + 6] in told for at in range(len(secret) - 6))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(KeyFormatError):
        Signer("name", ED25519, bytes(size))
    with pytest.raises(KeyFormatError):
        note.parse_skey(raw_key("PRIVATE+KEY+", "name", ED25519, LOG.verifier.public_key, bytes(size)))


def test_a_signer_does_not_show_its_seed() -> None:
    for shown in (repr(LOG), str(LOG), f"{LOG}", repr([LOG])):
        assert LOG.verifier.vkey in shown
        assert LOG.seed.hex() not in shown
        assert repr(LOG.seed)[2:20] not in shown
        assert base64.b64encode(LOG.seed).decode()[:8] not in shown


def test_a_signer_reaches_a_helper_process_whole() -> None:
    copy = pickle.loads(pickle.dumps(LOG))
    assert copy.sign(TEXT) == LOG.sign(TEXT)


def test_a_key_signs_in_its_role_only() -> None:
    with pytest.raises(KeyFormatError):
        WITNESS.sign(TEXT)
    with pytest.raises(KeyFormatError):
        LOG.cosign(TEXT, 1)


def test_text_and_bytes_are_signed_alike() -> None:
    assert LOG.sign(TEXT) == LOG.sign(TEXT.encode())
    assert WITNESS.cosign(TEXT, 1) == WITNESS.cosign(TEXT.encode(), 1)


def test_detached_signatures_are_those_of_the_note() -> None:
    signature = note.sign_detached(LOG.secret_key, TEXT.encode())
    assert signature == LOG.sign(TEXT).blob
    assert note.verify_detached(LOG.verifier.public_key, TEXT.encode(), signature)
    assert not note.verify_detached(LOG.verifier.public_key, TEXT.encode() + b"\n", signature)
    assert not note.verify_detached(WITNESS.verifier.public_key, TEXT.encode(), signature)
    assert not note.verify_detached(LOG.verifier.public_key[:31], TEXT.encode(), signature)
    assert not note.verify_detached(LOG.verifier.public_key, TEXT.encode(), signature[:63])
    assert not note.verify_detached(LOG.verifier.public_key, b"", b"")


WAYS = {"in place": note._opens, "PyNaCl's binding": note._opens_by_binding}
ORDER = (
    2**252 + 27742317777372353535851937790883648493
)  # of the group: S plus it is the same number to a careless verifier


def test_the_quick_way_is_there_and_without_it_there_is_the_other() -> None:
    assert note._opens is not note._opens_by_binding  # with the locked version
    assert note._opener(None) is note._opener(object()) is note._opens_by_binding
    assert note._signs is not note._signs_by_binding
    assert note._signing(None) is note._signing(object()) is note._signs_by_binding


def test_both_ways_give_the_same_signatures() -> None:
    for text in (b"", TEXT.encode(), bytes(65_536)):
        assert note._signs(text, LOG.secret_key) == note._signs_by_binding(text, LOG.secret_key)


def test_what_libsodium_does_not_sign_is_no_signature() -> None:
    class Binding:
        class ffi:  # noqa: N801 - as PyNaCl's
            NULL = None
            new = staticmethod(lambda _kind, size: bytearray(size))
            buffer = staticmethod(lambda data, size: data[:size])

        class lib:  # noqa: N801
            crypto_sign = staticmethod(lambda *_: -1)

    with pytest.raises(RuntimeError, match="does not sign"):
        note._signing(Binding)(b"", LOG.secret_key)


@pytest.mark.parametrize("opens", WAYS.values(), ids=WAYS)
def test_both_ways_take_what_is_signed_and_nothing_else(opens: Callable[[bytes, bytes], bool]) -> None:
    key, text = LOG.verifier.public_key, TEXT.encode()
    signed = note.sign_detached(LOG.secret_key, text) + text
    assert opens(signed, key)
    assert opens(note.sign_detached(LOG.secret_key, b""), key)
    for at in range(0, len(signed), 3):
        for bit in (1, 128):
            assert not opens(signed[:at] + bytes([signed[at] ^ bit]) + signed[at + 1 :], key)
    for end in range(len(signed)):
        assert not opens(signed[:end], key)
    assert not opens(signed + b"\0", key)
    assert not opens(signed, WITNESS.verifier.public_key)
    again = int.from_bytes(signed[32:64], "little") + ORDER
    assert not opens(signed[:32] + again.to_bytes(32, "little") + text, key)
    for point in (bytes(32), b"\1" + bytes(31), b"\xff" * 32):
        assert not opens(signed, point)
        assert not opens(point + bytes(32) + text, point)


def test_signatures_are_those_of_rfc_8032() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # section 7.1, test 1
    signer = Signer("rfc8032", ED25519, seed)
    assert signer.verifier.public_key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert note.sign_detached(signer.secret_key, b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd"
        "25bf5f0595bbe24655141438e7a100b"
    )


def _signed_notes() -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = shared_vectors.load("signed_notes.json")["vectors"]
    return vectors


def test_notes_of_other_implementations_open() -> None:
    seen = 0
    for vector in _signed_notes():
        if "vkey" not in vector:
            continue
        data, key = vector["note"].encode(), note.parse_vkey(vector["vkey"])
        assert vector["valid"]
        assert note.parse_note(data).encode() == data
        (verified,) = opened(data, key)
        assert verified.time == vector.get("timestamp"), vector["name"]
        if "skey" in vector:
            signer = note.parse_skey(vector["skey"])
            assert signer.verifier == key
            assert signer.sign(note.parse_note(data).text) == verified.signature
        seen += 1
    assert seen >= 6


def test_signatures_of_sigsum_are_reproduced_from_their_seed() -> None:
    seen = 0
    for vector in _signed_notes():
        if "seed_hex" not in vector:
            continue
        seed = bytes.fromhex(vector["seed_hex"])
        if "line" in vector:
            expected = note.parse_signature_line(vector["line"].rstrip("\n"))
            signature = Signer(expected.name, COSIGNATURE, seed).cosign(vector["body"], vector["timestamp"])
        else:
            parsed = note.parse_note(vector["note"].encode())
            (expected,) = parsed.signatures
            signature = Signer(expected.name, ED25519, seed).sign(parsed.text)
        assert signature == expected, vector["name"]
        seen += 1
    assert seen >= 2


def test_bad_vkeys_of_golang_are_rejected() -> None:
    for vkey in shared_vectors.load("signed_notes.json")["bad_vkeys"]:
        with pytest.raises(KeyFormatError):
            note.parse_vkey(vkey)
