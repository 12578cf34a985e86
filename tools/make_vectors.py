"""The test vectors of the protocol: python tools/make_vectors.py writes docs/vectors/*.json, always the same bytes.

Everything in them comes from fixed seeds: a key's seed is the SHA-256 of `suyuan test vector ` and the key's name, an
event's id comes from the SHA-256 of a label. What must be refused is stated here by hand, with the code of the error,
and not asked of the code: the vectors are claims about it. docs/protocol.md says what the files hold,
tests/vectors/test_vectors.py holds the code to them.
"""

import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # the checkout itself, whatever else is installed

from nacl import bindings as sodium  # noqa: E402 - found through the lines above, as all that follow

from ledger.checkpoint import Checkpoint, sign_checkpoint  # noqa: E402
from ledger.cosignature import add_signatures, cosign  # noqa: E402
from ledger.encoding import canonical_json, encode_base64, parse_base64, parse_time  # noqa: E402
from ledger.entry import ChainHead, chain, open_chain, parse_entry, sign_texts  # noqa: E402
from ledger.evidence import encode_evidence, verify_evidence  # noqa: E402
from ledger.manifest import Manifest, make_manifest  # noqa: E402
from ledger.merkle import (  # noqa: E402
    EMPTY_ROOT,
    LeafIndex,
    Node,
    TreeHead,
    TreeSize,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from ledger.network import network_text  # noqa: E402
from ledger.note import COSIGNATURE, ED25519, Note, Signature, Signer  # noqa: E402
from ledger.proof import Proof  # noqa: E402
from ledger.record import record_ref  # noqa: E402
from ledger.tile import Edge, edge_tiles, encode_bundle, hash_tiles  # noqa: E402
from ledger.witness_request import AddCheckpoint  # noqa: E402

VECTORS = ROOT / "docs" / "vectors"
SEED_LABEL = "suyuan test vector "
DEPARTMENTS = ("police", "tax", "health", "civil-affairs", "education", "housing", "market-regulation")
NAMES_ZH = {
    "police": "公安局",
    "tax": "税务局",
    "health": "卫生健康委员会",
    "civil-affairs": "民政局",
    "education": "教育局",
    "housing": "住房和城乡建设局",
    "market-regulation": "市场监督管理局",
}
MORNING = parse_time("2026-11-21T09:00:00.000Z")  # milliseconds
TIME = "2026-11-21T08:15:30.123Z"
COSIGNED_AT = MORNING // 1000 + 3600  # seconds
NOTHING = hashlib.sha256(b"").digest()
ZERO_HASH = encode_base64(bytes(32))

JsonObject = dict[str, Any]


# Keys, departments, networks.


def seed_of(name: str) -> bytes:
    """Return the seed of the key of that name."""
    return hashlib.sha256(f"{SEED_LABEL}{name}".encode()).digest()


def signer_of(name: str, algorithm: int = ED25519) -> Signer:
    """Return the test key of that name."""
    return Signer(name, algorithm, seed_of(name))


def event_id(label: str) -> str:
    """Return an event id that is always the same."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{SEED_LABEL}{label}".encode()).digest()[:16], version=4))


@dataclass(frozen=True, slots=True)
class Department:
    """A department of the vectors, with its keys."""

    name: str

    @property
    def origin(self) -> str:
        """Return the name of its log."""
        return f"{self.name}.ordos.example/log"

    @property
    def log(self) -> Signer:
        """Return the key of its log."""
        return signer_of(self.origin)

    @property
    def cosigner(self) -> Signer:
        """Return its cosigner key."""
        return signer_of(f"{self.name}.ordos.example/cosigner", COSIGNATURE)

    @property
    def transport(self) -> Signer:
        """Return its transport key."""
        return signer_of(f"{self.name}.ordos.example/transport")

    def member(self, **changes: Any) -> JsonObject:
        """Return the department's entry in a network document."""
        sealing = sodium.crypto_scalarmult_base(seed_of(f"{self.name}.ordos.example/sealing"))
        return {
            "origin": self.origin,
            "names": {"zh": NAMES_ZH[self.name], "en": self.name.replace("-", " ").title()},
            "level": "city",
            "region": "150600",
            "roles": ["department"],
            "url": f"https://{self.name}.ordos.example",
            "log_keys": [{"key": self.log.verifier.vkey, "from": 0}],
            "cosigner": self.cosigner.verifier.vkey,
            "transport": self.transport.verifier.vkey,
            "sealing": encode_base64(sealing),
            "status": "active",
            **changes,
        }


POLICE, TAX, HEALTH, CIVIL = (Department(name) for name in DEPARTMENTS[:4])


def departments(count: int) -> list[Department]:
    """Return the first ``count`` departments."""
    return [Department(name) for name in DEPARTMENTS[:count]]


def governor(number: int) -> Signer:
    """Return a governor's key."""
    return signer_of(f"ordos/governor-{number}")


def body_of(
    members: Sequence[JsonObject], *, governors: Sequence[int] = (1,), threshold: int = 1, **more: Any
) -> JsonObject:
    """Return the body of a network document."""
    return {
        "access": {"read": "members"},
        "governors": {"keys": [governor(number).verifier.vkey for number in governors], "threshold": threshold},
        "members": list(members),
        "rules": "cn-2025",
        **more,
    }


def signed(text: str, *signers: Signer) -> bytes:
    """Return ``text`` as a note signed by ``signers``."""
    return Note(text, tuple(signer.sign(text) for signer in signers)).encode()


def first_version(members: Sequence[JsonObject], **more: Any) -> bytes:
    """Return version 1 of a network document, signed by governor 1."""
    return signed(network_text("ordos", 1, NOTHING, body_of(members, **more)), governor(1))


def text_of(note: bytes) -> str:
    """Return the text of a note."""
    return note.decode().rpartition("\n\n")[0] + "\n"


def fingerprint(document: bytes) -> str:
    """Return the fingerprint of a file whose first document is ``document``."""
    return hashlib.sha256(text_of(document).encode()).hexdigest()


def network_of(count: int) -> bytes:
    """Return the network document of the first ``count`` departments."""
    return first_version([one.member() for one in departments(count)])


# Encodings.


def encodings() -> JsonObject:
    """Return decimals, base64 and times."""
    good_decimals = {"zero": 0, "one": 1, "largest": 2**63 - 1}
    bad_decimals = {
        "empty": "",
        "leading-zero": "01",
        "two-zeros": "00",
        "plus-sign": "+1",
        "minus-sign": "-1",
        "minus-zero": "-0",
        "two-to-the-63": str(2**63),
        "twenty-digits": "10000000000000000000",
        "underscore": "1_000",
        "space-in-front": " 1",
        "newline-behind": "1\n",
        "fraction": "1.0",
        "exponent": "1e3",
        "hexadecimal": "0x10",
        "arabic-indic-digit": "\u0663",
        "full-width-digit": "\uff11",
    }
    good_base64 = {"empty": b"", "one-byte": b"\x00", "two-bytes": b"\xff\xfe", "three-bytes": b"abc", "hash": NOTHING}
    bad_base64 = {
        "stray-bits-in-two": "AB==",
        "stray-bits-in-three": "AAB=",
        "no-padding": "AA",
        "one-padding-of-two": "AA=",
        "too-much-padding": "AA====",
        "url-alphabet": "-_-_",
        "space-within": "AA AA",
        "newline-behind": "AAAA\n",
        "padding-in-front": "==AA",
        "only-padding": "====",
        "single-character": "A",
        "not-ascii": "ÄÄÄÄ",
    }
    good_times = {
        "ordinary": TIME,
        "epoch": "1970-01-01T00:00:00.000Z",
        "before-the-epoch": "1969-12-31T23:59:59.999Z",
        "first-of-the-calendar": "0001-01-01T00:00:00.000Z",
        "last-of-the-calendar": "9999-12-31T23:59:59.999Z",
        "leap-day": "2024-02-29T12:00:00.000Z",
    }
    bad_times = {
        "no-decimals": "2026-11-21T08:15:30Z",
        "two-decimals": "2026-11-21T08:15:30.12Z",
        "six-decimals": "2026-11-21T08:15:30.123456Z",
        "offset-for-z": "2026-11-21T08:15:30.123+00:00",
        "lower-case": "2026-11-21t08:15:30.123z",
        "space-for-t": "2026-11-21 08:15:30.123Z",
        "no-zone": "2026-11-21T08:15:30.123",
        "comma": "2026-11-21T08:15:30,123Z",
        "leap-second": "2026-12-31T23:59:60.000Z",
        "hour-24": "2026-11-21T24:00:00.000Z",
        "no-such-day": "2026-02-29T08:15:30.123Z",
        "month-13": "2026-13-01T08:15:30.123Z",
        "year-zero": "0000-01-01T00:00:00.000Z",
        "five-digit-year": "10000-01-01T00:00:00.000Z",
        "newline-behind": "2026-11-21T08:15:30.123Z\n",
        "full-width-digits": "２０２６-11-21T08:15:30.123Z",
    }
    return {
        "decimals": [
            *({"name": name, "text": str(value), "value": str(value)} for name, value in good_decimals.items()),
            *refused("bad_decimal", "text", bad_decimals),
        ],
        "base64": [
            *({"name": name, "text": encode_base64(data), "hex": data.hex()} for name, data in good_base64.items()),
            *refused("bad_base64", "text", bad_base64),
        ],
        "times": [
            *({"name": name, "text": text, "milliseconds": parse_time(text)} for name, text in good_times.items()),
            *refused("bad_time", "text", bad_times),
        ],
    }


def refused(error: str, member: str, texts: Mapping[str, str]) -> list[JsonObject]:
    """Return vectors that must all be refused with one error."""
    return [{"name": name, member: text, "error": error} for name, text in texts.items()]


def canonical_jsons() -> JsonObject:
    """Return JSON texts: canonical, valid in another spelling, and refused altogether."""
    nested = "[" * 16 + "]" * 16
    good = {
        "object-in-order": '{"a":1,"b":2}',
        "empty-object": "{}",
        "upper-case-before-lower": '{"A":1,"a":2}',
        "empty-name": '{"":1}',
        "literals": "[null,true,false]",
        "largest-integer": "9007199254740991",
        "smallest-integer": "-9007199254740991",
        "chinese": '{"purpose":"子女教育专项附加扣除"}',
        "escapes-that-must-be": '"\\"\\\\"',
        "slash-stays": '"a/b"',
        "beyond-the-basic-plane": '"\U00020bb7"',
        "sixteen-deep": nested,
        "zero-width-space": '"a\u200bb"',
        "line-separator": '"a\u2028b"',
    }
    other = {  # text, and its canonical form
        "white-space": (' { "a" : 1 }\n', '{"a":1}'),
        "names-out-of-order": ('{"b":2,"a":1}', '{"a":1,"b":2}'),
        "escape-that-need-not-be": ('"\\u0061\\/"', '"a/"'),
        "surrogate-pair-in-escapes": ('"\\ud842\\udfb7"', '"\U00020bb7"'),
        "minus-zero": ("-0", "0"),
    }
    bad = {
        "duplicate-name": ("duplicate_member", '{"a":1,"a":1}'),
        "duplicate-name-in-escapes": ("duplicate_member", '{"a":1,"\\u0061":2}'),
        "fraction": ("float_not_allowed", '{"a":1.5}'),
        "fraction-that-is-whole": ("float_not_allowed", '{"a":1.0}'),
        "exponent": ("float_not_allowed", '{"a":1e3}'),
        "not-a-number": ("float_not_allowed", '{"a":NaN}'),
        "infinity": ("float_not_allowed", '{"a":-Infinity}'),
        "integer-too-large": ("out_of_range", "9007199254740992"),
        "integer-too-small": ("out_of_range", "-9007199254740992"),
        "integer-of-5000-digits": ("out_of_range", "1" + 4999 * "0"),
        "seventeen-deep": ("too_deep", f"[{nested}]"),
        "name-not-ascii": ("bad_json", '{"größe":1}'),
        "not-normalised": ("bad_json", '"e\u0301"'),
        "compatibility-ideograph": ("bad_json", '"\uf900"'),
        "escaped-newline": ("bad_json", '"a\\nb"'),
        "escaped-tab-in-name": ("bad_json", '{"a\\tb":1}'),
        "raw-newline": ("bad_json", '"a\nb"'),
        "delete": ("bad_json", '"a\u007fb"'),
        "c1-control": ("bad_json", '"a\u0085b"'),
        "lone-surrogate": ("bad_json", '"\\ud842"'),
        "trailing-comma": ("bad_json", '{"a":1,}'),
        "two-values": ("bad_json", "{}{}"),
        "comment": ("bad_json", "{}//x"),
        "single-quotes": ("bad_json", "{'a':1}"),
        "leading-zero": ("bad_json", "[01]"),
        "plus-sign": ("bad_json", "[+1]"),
        "empty": ("bad_json", ""),
        "byte-order-mark": ("bad_json", "\ufeff{}"),
    }
    bytes_ = {
        "latin-1": b'"\xe4"',
        "overlong-slash": b'"\xc0\xaf"',
        "encoded-surrogate": b'"\xed\xa0\x80"',
        "cut": b'"\xe5\x85',
    }
    return {
        "canonical": [{"name": name, "text": text} for name, text in good.items()],
        "other_spellings": [{"name": name, "text": text, "canonical": form} for name, (text, form) in other.items()],
        "refused": [{"name": name, "text": text, "error": error} for name, (error, text) in bad.items()],
        "refused_bytes": [{"name": name, "hex": data.hex(), "error": "invalid_utf8"} for name, data in bytes_.items()],
    }


def records() -> JsonObject:
    """Return record references."""
    key = seed_of("record key of the police")
    resident = "150600199001011234"
    good = {
        "resident": ("resident-id", resident),
        "same-number-of-another-kind": ("case", resident),
        "default-scheme": ("record", "case-891"),
        "chinese-plate": ("vehicle-plate", "蒙K·12345"),
        "white-space-around-is-dropped": ("resident-id", f"\u3000{resident} "),
        "another-spelling-of-the-same-letters": ("name", "Ame\u0301lie"),
        "normal-form-of-the-same-letters": ("name", "Am\u00e9lie"),
    }
    bad = {
        "empty": ("resident-id", "", "bad_value"),
        "only-white-space": ("resident-id", " \u3000", "bad_value"),
        "newline-within": ("resident-id", "1506\n00", "bad_value"),
        "too-long": ("resident-id", "1" * 1001, "too_long"),
        "upper-case-scheme": ("Resident", resident, "bad_value"),
        "scheme-begins-with-a-hyphen": ("-id", resident, "bad_value"),
        "empty-scheme": ("", resident, "bad_value"),
        "scheme-of-65": ("a" * 65, resident, "bad_value"),
    }
    return {
        "key_hex": key.hex(),
        "references": [
            {"name": name, "scheme": scheme, "identifier": text, "reference": record_ref(key, text, scheme=scheme)}
            for name, (scheme, text) in good.items()
        ],
        "refused": [
            {"name": name, "scheme": scheme, "identifier": text, "error": error}
            for name, (scheme, text, error) in bad.items()
        ],
    }


# Keys and notes.

SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")  # a point of order 8
FIELD_PRIME = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def keys() -> JsonObject:
    """Return keys, signatures and notes."""
    log = POLICE.log
    text = "This is a text.\n"
    good = [POLICE.log, POLICE.cosigner, POLICE.transport, governor(1)]
    return {
        "keys": [
            {
                "name": signer.name.replace("/", "-"),
                "key_name": signer.name,
                "algorithm": signer.algorithm,
                "seed_hex": signer.seed.hex(),
                "public_key_hex": signer.verifier.public_key.hex(),
                "key_id_hex": signer.verifier.key_id.hex(),
                "vkey": signer.verifier.vkey,
                "skey": signer.skey,
            }
            for signer in good
        ],
        "refused_vkeys": _bad_vkeys(log),
        "signatures": _signatures(log, text.encode()),
        "notes": _notes(log, text),
    }


def _bad_vkeys(log: Signer) -> list[JsonObject]:
    name, key_id, encoded = log.verifier.vkey.split("+", 2)
    public = log.verifier.public_key
    mixed = sodium.crypto_core_ed25519_add(public, SMALL_ORDER)
    texts = {
        "wrong-key-id": f"{name}+00000000+{encoded}",
        "upper-case-key-id": f"{name}+{key_id.upper()}+{encoded}",
        "another-name": f"tax.ordos.example/log+{key_id}+{encoded}",
        "empty-name": vkey_of("", ED25519, public),
        "space-in-name": vkey_of("police log", ED25519, public),
        "unknown-algorithm": vkey_of(name, 0x02, public),
        "31-bytes": vkey_of(name, ED25519, public[:31]),
        "33-bytes": vkey_of(name, ED25519, public + b"\x00"),
        "two-parts": f"{name}+{encoded}",
        "stray-bits": f"{name}+{key_id}+AA=",
        "identity-point": vkey_of(name, ED25519, (1).to_bytes(32, "little")),
        "point-of-small-order": vkey_of(name, ED25519, SMALL_ORDER),
        "outside-the-main-subgroup": vkey_of(name, ED25519, mixed),
        "not-reduced": vkey_of(name, ED25519, (FIELD_PRIME + 3).to_bytes(32, "little")),
        "not-on-the-curve": vkey_of(name, ED25519, (2).to_bytes(32, "little")),
    }
    return refused("bad_key", "vkey", texts)


def vkey_of(name: str, algorithm: int, public_key: bytes) -> str:
    """Return a verifier key with the right key ID, sound or not."""
    data = bytes([algorithm]) + public_key
    key_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    return f"{name}+{key_id.hex()}+{encode_base64(data)}"


def _signatures(log: Signer, message: bytes) -> list[JsonObject]:
    plain = log.sign(message).blob
    number = int.from_bytes(plain[32:], "little")
    blobs = {
        "good": plain,
        "r-of-small-order": _small_order(log, message),
        "last-bit-of-r-flipped": plain[:31] + bytes([plain[31] ^ 1]) + plain[32:],
        "last-bit-of-s-flipped": plain[:32] + bytes([plain[32] ^ 1]) + plain[33:],
        "s-not-reduced": plain[:32] + (number + GROUP_ORDER).to_bytes(32, "little"),
        "r-of-mixed-order": _mixed_order(log, message),
        "63-bytes": plain[:63],
        "65-bytes": plain + b"\x00",
        "zeros": bytes(64),
    }
    return [
        {
            "name": name,
            "public_key_hex": log.verifier.public_key.hex(),
            "message_hex": message.hex(),
            "signature_hex": blob.hex(),
            "valid": name == "good",
        }
        for name, blob in blobs.items()
    ]


def _mixed_order(log: Signer, message: bytes) -> bytes:
    """Return a signature that only a verifier which multiplies by the cofactor would take: R has a part of order 8."""
    once = sodium.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"once" + message).digest())
    point = sodium.crypto_core_ed25519_add(sodium.crypto_scalarmult_ed25519_base_noclamp(once), SMALL_ORDER)
    challenge = hashlib.sha512(point + log.verifier.public_key + message).digest()
    product = sodium.crypto_core_ed25519_scalar_mul(
        sodium.crypto_core_ed25519_scalar_reduce(challenge), _secret_scalar(log)
    )
    answer: bytes = sodium.crypto_core_ed25519_scalar_add(once, product)
    return bytes(point) + answer


def _small_order(log: Signer, message: bytes) -> bytes:
    """Return a signature that fulfils the equation with the identity as R: it shows the secret scalar."""
    identity = (1).to_bytes(32, "little")
    challenge = hashlib.sha512(identity + log.verifier.public_key + message).digest()
    answer: bytes = sodium.crypto_core_ed25519_scalar_mul(
        sodium.crypto_core_ed25519_scalar_reduce(challenge), _secret_scalar(log)
    )
    return identity + answer


def _secret_scalar(signer: Signer) -> bytes:
    clamped = bytearray(hashlib.sha512(signer.seed).digest()[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    scalar: bytes = sodium.crypto_core_ed25519_scalar_reduce(bytes(clamped) + bytes(32))
    return scalar


def _notes(log: Signer, text: str) -> list[JsonObject]:
    other = TAX.log
    line = log.sign(text).line
    false = log.sign("Another text.\n").line
    cosigned = POLICE.cosigner.cosign(text, 1234).line
    known = [log.verifier.vkey, POLICE.cosigner.verifier.vkey]
    good = {
        "one-signature": (f"{text}\n{line}", [log.name]),
        "cosigned-as-well": (f"{text}\n{line}{cosigned}", [log.name, POLICE.cosigner.name]),
        "unknown-key-is-skipped": (f"{text}\n{other.sign(text).line}{line}", [log.name]),
        "same-signature-twice": (f"{text}\n{line}{line}", [log.name]),
        "empty-line-in-the-text": (_note(log, "One.\n\nTwo.\n"), [log.name]),
        "empty-text-but-a-newline": (_note(log, "\n"), [log.name]),
    }
    bad = {
        "false-signature-of-a-known-key": ("invalid_signature", f"{text}\n{false}"),
        "false-behind-a-good-one": ("invalid_signature", f"{text}\n{line}{false}"),
        "only-unknown-keys": ("unsigned", f"{text}\n{other.sign(text).line}"),
        "known-name-with-another-key-id": ("unsigned", f"{text}\n{_with_key_id(log.sign(text), bytes(4)).line}"),
        "cosignature-of-another-time": (
            "invalid_signature",
            f"{text}\n{_with_time(POLICE.cosigner.cosign(text, 1), 2).line}",
        ),
        "no-signature": ("bad_note", f"{text}\n"),
        "no-empty-line": ("bad_note", f"{text}{line}"),
        "hyphen-for-the-dash": ("bad_note", f"{text}\n{line.replace('—', '-')}"),
        "two-spaces": ("bad_note", f"{text}\n{line.replace('— ', '—  ')}"),
        "carriage-return": ("bad_note", f"{text}\n{line}".replace("\n", "\r\n")),
        "no-newline-at-the-end": ("bad_note", f"{text}\n{line[:-1]}"),
        "signature-of-four-bytes": ("bad_note", f"{text}\n— {log.name} {encode_base64(log.verifier.key_id)}\n"),
        "101-signatures": ("too_many", f"{text}\n{line * 101}"),
    }
    return [
        *({"name": name, "note": note, "vkeys": known, "signed_by": by} for name, (note, by) in good.items()),
        *({"name": name, "note": note, "vkeys": known, "error": error} for name, (error, note) in bad.items()),
    ]


def _note(signer: Signer, text: str) -> str:
    return Note(text, (signer.sign(text),)).encode().decode()


def _with_key_id(signature: Signature, key_id: bytes) -> Signature:
    return Signature(name=signature.name, key_id=key_id, blob=signature.blob)


def _with_time(signature: Signature, time: int) -> Signature:
    return Signature(name=signature.name, key_id=signature.key_id, blob=time.to_bytes(8, "big") + signature.blob[8:])


# Events.

RECORD_KEY = seed_of("record key of the police")
RECORD = record_ref(RECORD_KEY, "150600199001011234", scheme="resident-id")
OTHERS = [record_ref(RECORD_KEY, f"15060019900101{number:04d}", scheme="resident-id") for number in range(5)]
DIGEST = f"sha-256:{encode_base64(hashlib.sha256(b'household register').digest())}"


def share(label: str, consumer: Department, **more: Any) -> JsonObject:
    """Return a share with the members that every share has."""
    return {
        "type": "share",
        "id": event_id(label),
        "consumer": consumer.origin,
        "resource": "household-register",
        "purpose": "tax deduction for children's education",
        "method": "api",
        "occurred_at": TIME,
        **more,
    }


def receipt(label: str, of: JsonObject, **more: Any) -> JsonObject:
    """Return a receipt for the share at the reference ``of``."""
    return {
        "type": "receipt",
        "id": event_id(label),
        "share": of,
        "outcome": "accepted",
        "occurred_at": "2026-11-21T08:15:31.456Z",
        **more,
    }


def log_open(department: Department) -> JsonObject:
    """Return the event that opens a log."""
    return {
        "type": "log.open",
        "id": event_id(f"open {department.name}"),
        "network": "ordos",
        "network_version": 1,
        "software": "suyuan 0.1.0",
    }


def full_share() -> JsonObject:
    """Return a share that has every member which goes together."""
    return share(
        "full share",
        TAX,
        resource_version=3,
        records=[RECORD, *OTHERS[:2]],
        fields=["name", "members", "address"],
        legal_basis="个人所得税法第六条",
        grant="agreement 2026-17",
        mode="copy",
        calls=1,
        rows=3,
        bytes=2048,
        payload_digest=DIGEST,
        parents=[reference(2, HEALTH)],
        case="case-891",
        system="exchange-platform",
        operator="op-7f3a",
        labels={"channel": "internet", "batch": ""},
    )


def reference(index: int, department: Department, hash_: str = ZERO_HASH) -> JsonObject:
    """Return an entry reference."""
    return {"hash": hash_, "index": index, "log": department.origin}


def events() -> JsonObject:
    """Return events that keep to their schemas, and events that do not."""
    ref = reference(42, POLICE)
    manifest = {"count": 3, "root": ZERO_HASH}
    good = {
        "log-open": log_open(POLICE),
        "smallest-share": share("smallest share", TAX),
        "full-share": full_share(),
        "share-with-manifest": share("manifest share", TAX, manifest=manifest),
        "share-with-grant-entry": share("grant share", TAX, grant=ref),
        "share-with-empty-arrays": share("empty arrays", TAX, records=[], fields=[], parents=[]),
        "smallest-receipt": receipt("smallest receipt", ref),
        "rejection": receipt("rejection", ref, outcome="rejected", reason="the digest differs"),
        "full-receipt": receipt(
            "full receipt", ref, payload_digest=DIGEST, rows=3, bytes=2048, case="case-891", system="tax-core",
            operator="op-11", labels={"channel": "internet"},
        ),
    }  # fmt: skip
    bad = {**_bad_shares(ref, manifest), **_bad_receipts(ref), **_bad_frames()}
    whole = share("many records", TAX)
    return {
        "accepted": [
            *({"name": name, "event": event} for name, event in good.items()),
            {"name": "share-1000-records", "event": whole, "records": 1000},
        ],
        "refused": [
            *(
                {"name": name, "event": event, "error": error, "field": field}
                for name, (error, field, event) in bad.items()
            ),
            {"name": "share-1001-records", "event": whole, "records": 1001, "error": "too_many", "field": "records"},
        ],
    }


def _bad_shares(ref: JsonObject, manifest: JsonObject) -> dict[str, tuple[str, str, JsonObject]]:
    short = encode_base64(bytes(31))
    unknown_digest = DIGEST.replace("sha-256", "md5")
    changes: dict[str, tuple[str, str, JsonObject]] = {
        "unknown-member": ("unknown_member", "colour", {"colour": "red"}),
        "purpose-null": ("wrong_type", "purpose", {"purpose": None}),
        "optional-member-null": ("wrong_type", "rows", {"rows": None}),
        "purpose-empty": ("bad_value", "purpose", {"purpose": ""}),
        "purpose-with-space-in-front": ("bad_value", "purpose", {"purpose": " tax"}),
        "purpose-with-ideographic-space-behind": ("bad_value", "purpose", {"purpose": "tax\u3000"}),
        "purpose-of-501-characters": ("too_long", "purpose", {"purpose": 501 * "税"}),
        "resource-of-201-characters": ("too_long", "resource", {"resource": 201 * "r"}),
        "consumer-in-upper-case": ("bad_value", "consumer", {"consumer": "Tax.ordos.example/log"}),
        "consumer-without-path": ("bad_value", "consumer", {"consumer": "tax.ordos.example"}),
        "consumer-of-129-characters": ("too_long", "consumer", {"consumer": "t" * 125 + "/log"}),
        "method-unknown": ("bad_value", "method", {"method": "fax"}),
        "mode-unknown": ("bad_value", "mode", {"mode": "look"}),
        "occurred-at-without-decimals": ("bad_time", "occurred_at", {"occurred_at": "2026-11-21T08:15:30Z"}),
        "occurred-at-a-number": ("wrong_type", "occurred_at", {"occurred_at": 1795248930}),
        "rows-negative": ("out_of_range", "rows", {"rows": -1}),
        "rows-too-large": ("out_of_range", "rows", {"rows": 2**53}),
        "rows-a-string": ("wrong_type", "rows", {"rows": "3"}),
        "rows-a-truth-value": ("wrong_type", "rows", {"rows": True}),
        "resource-version-zero": ("out_of_range", "resource_version", {"resource_version": 0}),
        "record-in-upper-case": ("bad_value", "records[1]", {"records": [RECORD, RECORD.upper()]}),
        "record-of-31-digits": ("bad_value", "records[0]", {"records": [RECORD[:31]]}),
        "record-twice": ("bad_value", "records", {"records": [RECORD, RECORD]}),
        "records-not-a-list": ("wrong_type", "records", {"records": RECORD}),
        "records-and-manifest": ("bad_value", "manifest", {"records": [RECORD], "manifest": manifest}),
        "manifest-without-count": ("missing_member", "manifest.count", {"manifest": {"root": ZERO_HASH}}),
        "manifest-of-none": ("out_of_range", "manifest.count", {"manifest": {"count": 0, "root": ZERO_HASH}}),
        "manifest-of-100001": ("out_of_range", "manifest.count", {"manifest": {"count": 100_001, "root": ZERO_HASH}}),
        "manifest-root-of-31-bytes": ("bad_base64", "manifest.root", {"manifest": {**manifest, "root": short}}),
        "field-empty": ("bad_value", "fields[1]", {"fields": ["name", ""]}),
        "field-twice": ("bad_value", "fields", {"fields": ["name", "name"]}),
        "201-fields": ("too_many", "fields", {"fields": [f"f{number}" for number in range(201)]}),
        "parent-twice": ("bad_value", "parents", {"parents": [ref, ref]}),
        "parent-with-unknown-member": ("unknown_member", "parents[0].size", {"parents": [{**ref, "size": 1}]}),
        "grant-with-bad-hash": ("bad_base64", "grant.hash", {"grant": {**ref, "hash": "AAAA"}}),
        "digest-of-unknown-algorithm": ("bad_value", "payload_digest", {"payload_digest": unknown_digest}),
        "digest-not-canonical": ("bad_value", "payload_digest", {"payload_digest": f"sm3:{42 * 'A'}B="}),
        "digest-without-algorithm": ("bad_value", "payload_digest", {"payload_digest": DIGEST.partition(":")[2]}),
        "labels-empty": ("bad_value", "labels", {"labels": {}}),
        "17-labels": ("too_many", "labels", {"labels": {f"l{number}": "" for number in range(17)}}),
        "label-name-in-upper-case": ("bad_value", "labels.Channel", {"labels": {"Channel": "internet"}}),
        "label-a-number": ("wrong_type", "labels.channel", {"labels": {"channel": 1}}),
        "label-of-257-characters": ("too_long", "labels.channel", {"labels": {"channel": 257 * "x"}}),
        "operator-of-129-characters": ("too_long", "operator", {"operator": 129 * "o"}),
    }  # fmt: skip
    return {
        f"share-{name}": (error, field, {**share("bad share", TAX), **change})
        for name, (error, field, change) in changes.items()
    }


def _bad_receipts(ref: JsonObject) -> dict[str, tuple[str, str, JsonObject]]:
    changes: dict[str, tuple[str, str, JsonObject]] = {
        "rejected-without-reason": ("missing_member", "reason", {"outcome": "rejected"}),
        "outcome-unknown": ("bad_value", "outcome", {"outcome": "maybe"}),
        "share-a-string": ("wrong_type", "share", {"share": "police.ordos.example/log#42"}),
        "share-without-hash": ("missing_member", "share.hash", {"share": {"index": 42, "log": POLICE.origin}}),
        "share-index-negative": ("out_of_range", "share.index", {"share": {**ref, "index": -1}}),
        "share-index-a-string": ("wrong_type", "share.index", {"share": {**ref, "index": "42"}}),
        "share-hash-not-canonical": ("bad_base64", "share.hash", {"share": {**ref, "hash": ZERO_HASH[:-2] + "B="}}),
        "member-of-a-share": ("unknown_member", "purpose", {"purpose": "tax"}),
    }
    return {
        f"receipt-{name}": (error, field, {**receipt("bad receipt", ref), **change})
        for name, (error, field, change) in changes.items()
    }


def _bad_frames() -> dict[str, tuple[str, str, Any]]:
    whole = share("bad frame", TAX)
    return {
        "no-type": ("missing_member", "type", without(whole, "type")),
        "no-id": ("missing_member", "id", without(whole, "id")),
        "no-purpose": ("missing_member", "purpose", without(whole, "purpose")),
        "id-in-upper-case": ("bad_value", "id", {**whole, "id": whole["id"].upper()}),
        "id-without-hyphens": ("bad_value", "id", {**whole, "id": whole["id"].replace("-", "")}),
        "type-unknown": ("unknown_event_type", "type", {**whole, "type": "request.submit"}),
        "type-a-number": ("wrong_type", "type", {**whole, "type": 1}),
        "not-an-object": ("wrong_type", "event", [whole]),
        "open-with-version-zero": ("out_of_range", "network_version", {**log_open(POLICE), "network_version": 0}),
    }


def without(value: JsonObject, name: str) -> JsonObject:
    """Return ``value`` without one member."""
    return {key: member for key, member in value.items() if key != name}


# Logs: chains of entries.


@dataclass(slots=True)
class Log:
    """A log of the vectors as it grows."""

    department: Department
    head: ChainHead
    raws: list[bytes]

    @classmethod
    def under(cls, department: Department, document: bytes) -> "Log":
        """Open a log under a network document."""
        log = cls(department, open_chain(department.origin, text_of(document).encode()), [])
        log.append(log_open(department), MORNING)
        return log

    def append(self, event: JsonObject, time: int) -> JsonObject:
        """Record one event; return its reference."""
        texts, self.head = chain(self.head, [canonical_json(event).encode()], time=time)
        self.raws += sign_texts(self.department.log, texts)
        return parse_entry(self.raws[-1]).ref.model_dump()

    @property
    def leaves(self) -> list[bytes]:
        """Return the leaf hashes of its entries."""
        return [leaf_hash(raw) for raw in self.raws]

    def checkpoint(self, cosigners: Iterable[Department], *, size: int | None = None) -> Note:
        """Return a checkpoint of the log with cosignatures."""
        return cosigned(self.department, self.leaves[:size], cosigners)

    def proof(self, index: int, checkpoint: Note, **changes: Any) -> Proof:
        """Return the proof of an entry under a checkpoint of the whole log."""
        hashes = prove_inclusion(Leaves(self.leaves), index=LeafIndex(index), size=TreeSize(len(self.raws)))
        parts: JsonObject = {"hashes": tuple(hashes), "extra": self.raws[index], **changes}
        return Proof(LeafIndex(index), parts["hashes"], checkpoint, parts["extra"])


def cosigned(department: Department, leaves: Sequence[bytes], cosigners: Iterable[Department]) -> Note:
    """Return a log's checkpoint over ``leaves`` with the cosignatures of ``cosigners``."""
    checkpoint = Checkpoint.of(department.origin, TreeHead(TreeSize(len(leaves)), root_of(leaves)))
    lines = [cosign(one.cosigner, checkpoint, time=COSIGNED_AT + number) for number, one in enumerate(cosigners)]
    return add_signatures(sign_checkpoint(department.log, checkpoint), lines)


class Leaves:
    """A reader of tree hashes over leaf hashes in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def read_hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Return the hash of each node."""
        return [root_of(self._leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]


def police_log(document: bytes) -> Log:
    """Return the log of the police: two shares, an event of an unknown type, and a share that breaks its schema."""
    log = Log.under(POLICE, document)
    manifest = large_manifest()
    log.append(
        share(
            "first share", TAX, records=[RECORD, OTHERS[0]], fields=["name", "members"], payload_digest=DIGEST, rows=2
        ),
        MORNING + 60_000,
    )
    log.append(share("second share", HEALTH, manifest=manifest.ref.model_dump()), MORNING + 60_000)
    log.append({"type": "request.submit", "id": event_id("a later version"), "resource": "结婚登记"}, MORNING + 120_000)
    log.append({**share("broken share", TAX), "colour": "red"}, MORNING + 120_001)
    return log


def large_manifest() -> Manifest:
    """Return a manifest of five records, standing for a large one."""
    return make_manifest([RECORD, *OTHERS[1:]])


def entries() -> JsonObject:
    """Return a chain of entries, and entries that cannot stand in it."""
    document = network_of(4)
    log = police_log(document)
    names = (
        "opening",
        "share-of-two-records",
        "share-with-manifest",
        "type-of-a-later-version",
        "share-that-breaks-its-schema",
    )
    findings = {3: "unknown_event_type", 4: "unknown_member"}
    good = []
    for index, (name, raw) in enumerate(zip(names, log.raws, strict=True)):
        entry = parse_entry(raw)
        good.append(
            {
                "name": name,
                "entry": raw.decode(),
                "reference": entry.ref.model_dump(),
                "text_sha256": encode_base64(hashlib.sha256(entry.text).digest()),
                "leaf_hash": encode_base64(entry.leaf),
                "root_with_it": encode_base64(root_of(log.leaves[: index + 1])),
                "finding": findings.get(index),
            }
        )
    return {
        "network": document.decode(),
        "network_text_sha256": encode_base64(hashlib.sha256(text_of(document).encode()).digest()),
        "log_key": POLICE.log.verifier.vkey,
        "chain": good,
        "refused": [
            {"name": name, "after": 2, "entry": raw.decode(), "error": error}
            for name, (error, raw) in _bad_entries(log.raws[2]).items()
        ],
    }


def _bad_entries(raw: bytes) -> dict[str, tuple[str, bytes]]:
    """Return entries in the place of entry 2, each but for one thing as it should be."""
    text = text_of(raw)
    lines = text.split("\n")

    def line(number: int, new: str, signer: Signer = POLICE.log) -> bytes:
        changed = "\n".join([*lines[: number - 1], new, *lines[number:]])
        return signed(changed, signer)

    signature = raw.decode()[len(text) + 1 :]
    previous = parse_base64(lines[3])
    return {
        "index-of-another-place": ("broken_chain", line(3, "3")),
        "another-predecessor": ("broken_chain", line(4, encode_base64(previous[:31] + bytes([previous[31] ^ 1])))),
        "older-than-its-predecessor": ("broken_chain", line(5, "2026-11-21T09:00:59.999Z")),
        "entry-of-another-log": ("unsigned", line(2, TAX.origin, TAX.log)),
        "signed-by-another-key-of-the-same-name": (
            "unsigned",
            signed(text, Signer(POLICE.origin, ED25519, seed_of("stolen"))),
        ),
        "signature-of-another-text": (
            "invalid_signature",
            f"{text}\n{signature}".replace("household", "Household").encode(),
        ),
        "signed-in-another-name": ("bad_entry", signed(text, TAX.log)),
        "two-signatures": ("bad_entry", raw + signature.encode()),
        "no-signature": ("bad_entry", text.encode()),
        "another-format": ("bad_entry", line(1, "suyuan/entry/v2")),
        "further-line": ("bad_entry", signed(f"{text}more\n", POLICE.log)),
        "event-not-an-object": ("bad_entry", line(6, "[]")),
        "event-with-white-space": ("not_canonical", line(6, lines[5].replace(":", ": ", 1))),
        "event-with-names-out-of-order": ("not_canonical", line(6, '{"type":"share","id":"x"}')),
        "event-with-a-name-twice": ("duplicate_member", line(6, '{"type":"share","type":"share"}')),
        "event-with-a-fraction": ("float_not_allowed", line(6, '{"type":1.5}')),
        "index-with-leading-zero": ("bad_decimal", line(3, "02")),
        "time-with-two-decimals": ("bad_time", line(5, "2026-11-21T09:01:00.00Z")),
        "index-of-two-to-the-53": ("out_of_range", line(3, str(2**53))),
        "origin-that-is-no-origin": ("bad_entry", line(2, "Police", signer_of("Police"))),
        "hash-of-31-bytes": ("bad_base64", line(4, encode_base64(previous[:31]))),
        "carriage-returns": ("bad_entry", raw.replace(b"\n", b"\r\n")),
        "no-newline-at-the-end": ("bad_entry", raw[:-1]),
    }


# Checkpoints and quorums.


def checkpoints() -> JsonObject:
    """Return checkpoints with cosignatures and what a verifier concludes."""
    suspended = TAX.member(status="suspended")
    rotated = POLICE.member(
        log_keys=[
            {"key": POLICE.log.verifier.vkey, "from": 0, "until": 3},
            {"key": new_log_key().verifier.vkey, "from": 3},
        ]
    )
    networks = {
        "one": network_of(1),
        "four": network_of(4),
        "four-that-tolerate-two": first_version([one.member() for one in departments(4)], quorum={"faults": 2}),
        "four-of-which-one-is-suspended": first_version([POLICE.member(), suspended, HEALTH.member(), CIVIL.member()]),
        "four-of-which-one-has-a-new-key": first_version([rotated, TAX.member(), HEALTH.member(), CIVIL.member()]),
        "seven": network_of(7),
    }
    return {
        "networks": {name: document.decode() for name, document in networks.items()},
        "checkpoints": [*_judged_checkpoints(), *_refused_checkpoints()],
        "quorums": [
            {"name": f"{members}-members", "members": members, "faults": (members - 1) // 3,
             "quorum": (members + (members - 1) // 3) // 2 + 1}
            for members in range(1, 14)
        ],
    }  # fmt: skip


def new_log_key() -> Signer:
    """Return the key that the police sign with from index 3 on, in one of the networks."""
    return Signer(POLICE.origin, ED25519, seed_of("second log key of the police"))


def leaves(count: int) -> list[bytes]:
    """Return the leaf hashes of the entries 0, 1, 2 …, each spelled in decimal."""
    return [leaf_hash(str(number).encode()) for number in range(count)]


def _judged_checkpoints() -> list[JsonObject]:
    row = leaves(5)
    everybody = departments(7)
    stranger = Department("stranger")
    unknown = cosign(stranger.cosigner, Checkpoint(POLICE.origin, TreeSize(5), root_of(row)), time=1)
    two, three = (cosigned(POLICE, row, everybody[:count]) for count in (2, 3))
    old = cosigned(POLICE, row[:3], everybody[:3])
    cases: list[tuple[str, str, Note, list[Department], int]] = [
        ("one-alone", "one", cosigned(POLICE, row, [POLICE]), [POLICE], 1),
        ("one-without-its-own-cosignature", "one", cosigned(POLICE, row, []), [], 1),
        ("four-with-three", "four", three, everybody[:3], 3),
        ("four-with-two", "four", two, everybody[:2], 3),
        ("four-with-all", "four", cosigned(POLICE, row, everybody[:4]), everybody[:4], 3),
        ("four-with-three-but-not-the-owner", "four", cosigned(POLICE, row, everybody[1:4]), everybody[1:4], 3),
        ("four-with-a-stranger-as-third", "four", add_signatures(two, [unknown]), everybody[:2], 3),
        ("four-with-one-of-them-twice", "four", _twice(two, TAX), everybody[:2], 3),
        ("four-that-tolerate-two-with-three", "four-that-tolerate-two", three, everybody[:3], 4),
        ("suspended-member-does-not-count", "four-of-which-one-is-suspended", three, [POLICE, HEALTH], 2),
        ("seven-with-five", "seven", cosigned(POLICE, row, everybody[:5]), everybody[:5], 5),
        ("seven-with-four", "seven", cosigned(POLICE, row, everybody[:4]), everybody[:4], 5),
        ("old-key-signs-its-last-size", "four-of-which-one-has-a-new-key", old, everybody[:3], 3),
    ]  # fmt: skip
    return [
        {
            "name": name,
            "network": network,
            "checkpoint": note.encode().decode(),
            "size": int(note.text.split("\n")[1]),
            "cosigned_by": sorted(one.origin for one in by),
            "needed": needed,
            "confirmed": len(by) >= needed,
        }
        for name, network, note, by, needed in cases
    ]


def _twice(note: Note, department: Department) -> Note:
    again = department.cosigner.cosign(note.text, COSIGNED_AT + 1000)
    return Note(note.text, (*note.signatures, again))


def _refused_checkpoints() -> list[JsonObject]:
    row = leaves(5)
    good = cosigned(POLICE, row, [POLICE, TAX, HEALTH])
    smaller = cosigned(POLICE, row[:4], [POLICE, TAX, HEALTH])
    text = good.text
    own, *others = good.signatures
    cases = {
        "cosignature-of-another-size": (
            "invalid_signature",
            "four",
            Note(text, (own, others[0], smaller.signatures[2])).encode(),
        ),
        "plain-signature-by-a-cosigner": ("invalid_signature", "four", Note(text, (own, _plain(TAX, text))).encode()),
        "not-signed-by-the-log": ("unsigned", "four", Note(text, tuple(others)).encode()),
        "signed-by-another-log": ("unsigned", "four", Note(text, (TAX.log.sign(text), *others)).encode()),
        "false-signature-of-the-log": (
            "invalid_signature",
            "four",
            Note(text, (smaller.signatures[0], *others)).encode(),
        ),
        "old-key-signs-too-much": ("key_ended", "four-of-which-one-has-a-new-key", good.encode()),
        "log-that-is-nobodys": ("unknown_log", "one", cosigned(TAX, row, [POLICE]).encode()),
        "size-with-leading-zero": ("bad_checkpoint", "one", signed(text.replace("\n5\n", "\n05\n"), POLICE.log)),
        "root-of-31-bytes": (
            "bad_checkpoint",
            "one",
            signed(f"{POLICE.origin}\n5\n{encode_base64(bytes(31))}\n", POLICE.log),
        ),
        "no-root": ("bad_checkpoint", "one", signed(f"{POLICE.origin}\n5\n", POLICE.log)),
        "extension-line-in-a-members-log": ("bad_checkpoint", "one", signed(f"{text}an extension line\n", POLICE.log)),
        "empty-extension-line": ("bad_checkpoint", "one", signed(f"{text}\nx\n", POLICE.log)),
    }
    return [
        {"name": name, "network": network, "checkpoint": note.decode(), "error": error}
        for name, (error, network, note) in cases.items()
    ]


def _plain(department: Department, text: str) -> Signature:
    cosigner = department.cosigner
    plain = Signer(cosigner.name, ED25519, cosigner.seed).sign(text)
    return Signature(name=cosigner.name, key_id=cosigner.verifier.key_id, blob=bytes(8) + plain.blob)


# Trees.


def merkle() -> JsonObject:
    """Return roots and proofs over the leaf hashes of the entries "0", "1", "2" and so on."""
    row = leaves(1000)
    inclusions = [
        _inclusion(f"leaf-{index}-of-{size}", row, index, size) for size in (1, 2, 3, 7, 8) for index in range(size)
    ]
    inclusions.append(_inclusion("leaf-613-of-1000", row, 613, 1000))
    pairs = [(old, new) for new in range(1, 9) for old in range(1, new + 1)]
    consistencies = [_consistency(f"{old}-to-{new}", row, old, new) for old, new in pairs]
    consistencies.append(_consistency("613-to-1000", row, 613, 1000))
    return {
        "roots": [
            {"name": f"{size}-entries", "size": size, "root": encode_base64(root_of(row[:size]))}
            for size in (*range(9), 255, 256, 257, 1000)
        ],
        "inclusion": [*inclusions, *_false_inclusions(row)],
        "consistency": [*consistencies, *_false_consistencies(row)],
    }


def _inclusion(name: str, row: Sequence[bytes], index: int, size: int, **changes: Any) -> JsonObject:
    hashes = prove_inclusion(Leaves(row), index=LeafIndex(index), size=TreeSize(size))
    return {
        "name": name,
        "leaf_hash": encode_base64(row[index]),
        "index": index,
        "size": size,
        "root": encode_base64(root_of(row[:size])),
        "proof": [encode_base64(one) for one in hashes],
        **changes,
    }


def _false_inclusions(row: Sequence[bytes]) -> list[JsonObject]:
    good = _inclusion("", row, 4, 7)
    proof = good["proof"]
    changes: dict[str, JsonObject] = {
        "another-leaf": {"leaf_hash": encode_base64(row[5])},
        "another-index": {"index": 5},
        "index-behind-the-tree": {"index": 7},
        "larger-size": {"size": 9},
        "smaller-size": {"size": 5},
        "another-root": {"root": encode_base64(root_of(row[:8]))},
        "proof-too-short": {"proof": proof[:-1]},
        "proof-too-long": {"proof": [*proof, proof[-1]]},
        "proof-in-another-order": {"proof": proof[::-1]},
        "proof-for-a-neighbour": {"proof": _inclusion("", row, 5, 7)["proof"]},
        "interior-node-as-leaf": {
            "leaf_hash": proof[-1],
            "index": 0,
            "size": 2,
            "proof": [encode_base64(root_of(row[4:7]))],
        },
        "empty-tree": {"index": 0, "size": 0, "root": encode_base64(EMPTY_ROOT), "proof": []},
    }
    del changes["interior-node-as-leaf"]  # true of a tree of two leaves: only the entry's own bytes tell it apart
    return [{**good, "name": name, **change, "error": "not_included"} for name, change in changes.items()]


def _consistency(name: str, row: Sequence[bytes], old: int, new: int, **changes: Any) -> JsonObject:
    hashes = prove_consistency(Leaves(row), old_size=TreeSize(old), new_size=TreeSize(new))
    return {
        "name": name,
        "old_size": old,
        "old_root": encode_base64(root_of(row[:old])),
        "new_size": new,
        "new_root": encode_base64(root_of(row[:new])),
        "proof": [encode_base64(one) for one in hashes],
        **changes,
    }


def _false_consistencies(row: Sequence[bytes]) -> list[JsonObject]:
    good = _consistency("", row, 3, 7)
    proof = good["proof"]
    changes: dict[str, JsonObject] = {
        "another-old-root": {"old_root": encode_base64(root_of(row[:2]))},
        "another-new-root": {"new_root": encode_base64(root_of(row[:8]))},
        "another-old-size": {"old_size": 4},
        "another-new-size": {"new_size": 9},
        "shrunken-tree": {"old_size": 7, "old_root": good["new_root"], "new_size": 3, "new_root": good["old_root"]},
        "proof-too-short": {"proof": proof[:-1]},
        "proof-too-long": {"proof": [*proof, proof[-1]]},
        "proof-in-another-order": {"proof": proof[::-1]},
        "equal-sizes-with-other-roots": {"old_size": 7, "proof": []},
        "equal-sizes-with-a-proof": {"old_size": 7, "old_root": good["new_root"], "proof": proof},
        "from-nothing": {"old_size": 0, "old_root": encode_base64(EMPTY_ROOT), "proof": []},
    }
    return [{**good, "name": name, **change, "error": "inconsistent"} for name, change in changes.items()]


# Tiles.


def tiles() -> JsonObject:
    """Return tile paths, entry bundles and the tiles of trees."""
    good: dict[str, JsonObject] = {
        "tile/0/000": {"level": 0, "index": 0, "width": 256},
        "tile/0/000.p/1": {"level": 0, "index": 0, "width": 1},
        "tile/0/000.p/255": {"level": 0, "index": 0, "width": 255},
        "tile/1/999": {"level": 1, "index": 999, "width": 256},
        "tile/0/x001/000": {"level": 0, "index": 1000, "width": 256},
        "tile/3/x001/x234/067.p/8": {"level": 3, "index": 1234067, "width": 8},
        "tile/63/000": {"level": 63, "index": 0, "width": 256},
        "tile/entries/000": {"level": None, "index": 0, "width": 256},
        "tile/entries/x001/x234/067.p/112": {"level": None, "index": 1234067, "width": 112},
        "tile/entries/x009/x223/x372/x036/x854/x775/807": {"level": None, "index": 2**63 - 1, "width": 256},
    }
    bad = {
        "width-zero": "tile/0/000.p/0",
        "width-256": "tile/0/000.p/256",
        "width-with-leading-zero": "tile/0/000.p/01",
        "level-64": "tile/64/000",
        "level-with-leading-zero": "tile/00/000",
        "two-digits": "tile/0/00",
        "four-digits": "tile/0/0000",
        "empty-group-in-front": "tile/0/x000/001",
        "last-group-with-x": "tile/0/x001",
        "group-without-x": "tile/0/001/000",
        "slash-in-front": "/tile/0/000",
        "slash-behind": "tile/0/000/",
        "index-of-two-to-the-63": "tile/0/x009/x223/x372/x036/x854/x775/808",
        "data-for-entries": "tile/data/000",
        "upper-case": "tile/entries/X001/000",
        "arabic-indic-digits": "tile/0/٠٠٠",
        "parent-folder": "tile/0/../000",
    }
    return {
        "paths": [
            *({"name": path.replace("/", "-"), "path": path, **place} for path, place in good.items()),
            *refused("bad_tile", "path", bad),
        ],
        "bundles": [*_good_bundles(), *_bad_bundles()],
        "trees": [
            {
                "name": f"{size}-entries",
                "size": size,
                "tiles": len(list(hash_tiles(TreeSize(size)))),
                "partial": [tile.path for tile in edge_tiles(TreeSize(size))],
            }
            for size in (0, 1, 255, 256, 257, 65_535, 65_536, 70_000, 16_777_216)
        ],
        "hash_tiles": _hash_tiles(600),
    }


def _good_bundles() -> list[JsonObject]:
    rows = {
        "none": [],
        "one-entry": [b"abc"],
        "two-entries": [b"", b"\x00\x01"],
        "entry-of-256-bytes": [bytes(range(256))],
    }
    return [
        {
            "name": name,
            "count": len(row),
            "bundle_hex": encode_bundle(row).hex(),
            "entries_hex": [one.hex() for one in row],
        }
        for name, row in rows.items()
    ]


def _bad_bundles() -> list[JsonObject]:
    cases = {
        "ends-within-a-length": (1, "00"),
        "ends-within-an-entry": (1, "0003aabb"),
        "fewer-than-said": (2, "0001aa"),
        "more-than-said": (1, "0001aa0001bb"),
        "byte-behind": (1, "0001aa00"),
        "none-but-a-byte": (0, "00"),
    }
    return [
        {"name": name, "count": count, "bundle_hex": data, "error": "bad_tile"} for name, (count, data) in cases.items()
    ]


def _hash_tiles(size: int) -> list[JsonObject]:
    """Return the tiles of one tree, each by the SHA-256 of its bytes."""
    _, changed = Edge.empty().extended(leaves(size))
    return [
        {
            "name": tile.path.replace("/", "-"),
            "size": size,
            "path": tile.path,
            "bytes": len(data),
            "sha256_hex": hashlib.sha256(data).hexdigest(),
        }
        for tile, data in changed
    ]


# Manifests.


def manifests() -> JsonObject:
    """Return manifests, proofs of membership, and what is refused."""
    named = {
        "one-record": [RECORD],
        "five-records": [RECORD, *OTHERS[1:]],
        "given-in-any-order-and-twice": [*OTHERS[::-1], OTHERS[0]],
    }
    good = []
    for name, records_ in named.items():
        manifest = make_manifest(records_)
        members = []
        for record in manifest.records:
            index, proof = manifest.prove(record)
            members.append({"record": record, "index": index, "proof": [encode_base64(one) for one in proof]})
        good.append(
            {
                "name": name,
                "records": records_,
                "manifest": manifest.encode().decode(),
                "reference": manifest.ref.model_dump(),
                "members": members,
            }
        )
    low, high = sorted(OTHERS[:2])
    bad = {
        "out-of-order": ("bad_manifest", f"suyuan/manifest/v1\n2\n{high}\n{low}\n"),
        "record-twice": ("bad_manifest", f"suyuan/manifest/v1\n2\n{low}\n{low}\n"),
        "count-too-large": ("bad_manifest", f"suyuan/manifest/v1\n3\n{low}\n{high}\n"),
        "count-with-leading-zero": ("bad_decimal", f"suyuan/manifest/v1\n02\n{low}\n{high}\n"),
        "no-record": ("bad_manifest", "suyuan/manifest/v1\n0\n"),
        "upper-case": ("bad_manifest", f"suyuan/manifest/v1\n1\n{low.upper()}\n"),
        "short-record": ("bad_manifest", f"suyuan/manifest/v1\n1\n{low[:31]}\n"),
        "no-newline-at-the-end": ("bad_manifest", f"suyuan/manifest/v1\n1\n{low}"),
        "carriage-returns": ("bad_manifest", f"suyuan/manifest/v1\r\n1\r\n{low}\r\n"),
        "another-format": ("bad_manifest", f"suyuan/manifest/v2\n1\n{low}\n"),
        "not-ascii": ("bad_manifest", f"suyuan/manifest/v1\n1\n{low}\u00e4\n"),
    }
    manifest = make_manifest([RECORD, *OTHERS[1:]])
    index, proof = manifest.prove(RECORD)
    shown: JsonObject = {
        "reference": manifest.ref.model_dump(),
        "record": RECORD,
        "index": index,
        "proof": [encode_base64(one) for one in proof],
    }
    false: dict[str, JsonObject] = {
        "record-that-is-not-in-it": {"record": OTHERS[0]},
        "another-index": {"index": index ^ 1},
        "another-count": {"reference": {**shown["reference"], "count": 17}},
        "proof-too-short": {"proof": shown["proof"][:-1]},
    }
    return {
        "manifests": good,
        "refused": [{"name": name, "manifest": text, "error": error} for name, (error, text) in bad.items()],
        "refused_members": [
            {"name": name, **shown, **change, "error": "not_included"} for name, change in false.items()
        ],
    }


# Network documents.


def networks() -> JsonObject:
    """Return files of network documents: chains that hold, and chains that do not."""
    body = body_of([POLICE.member()], governors=(1, 2, 3), threshold=2)
    first = signed(network_text("ordos", 1, NOTHING, body), governor(1))
    second = _following(first, 2, [POLICE.member(), TAX.member()], (1, 2, 4), 2)
    ended = {**POLICE.member(), "status": "ended"}
    third = _following(second, 3, [ended, TAX.member()], (4, 5), 2)
    gone = _following(second, 3, [TAX.member()], (4, 5), 2)
    rekeyed = {**POLICE.member(), "log_keys": [{"key": new_log_key().verifier.vkey, "from": 0}]}
    other_key = _following(first, 2, [rekeyed], (1, 2, 4), 2)
    pinned = fingerprint(first)
    parts = {
        "first": signed_by(first, 1, 2),
        "first-by-three": signed_by(first, 1, 2, 3),
        "first-by-one": signed_by(first, 1),
        "first-by-one-twice": signed_by(first, 1, 1),
        "first-by-two-and-one-of-them-again": signed_by(first, 1, 2, 2),
        "first-with-a-stranger": signed_by(first, 1, 2, 9),
        "second": signed_by(second, 1, 2),
        "second-by-one-of-the-old": signed_by(second, 1, 4),
        "second-with-a-false-signature": signed_by(second, 1) + governor(2).sign("something else\n").line.encode(),
        "second-changed-after-signing": signed_by(second, 1, 2).replace(b"cn-2025", b"cn-2026"),
        "second-of-another-network": signed(
            text_of(second).replace("\nordos\n", "\nbaotou\n"), governor(1), governor(2)
        ),
        "second-numbered-three": signed(text_of(second).replace("\n2\n", "\n3\n"), governor(1), governor(2)),
        "third": signed_by(third, 1, 4, 5),
        "third-by-one-of-the-new": signed_by(third, 1, 2, 4),
        "third-without-a-member": signed_by(gone, 1, 4, 5),
        "second-with-another-first-key": signed_by(other_key, 1, 2),
    }
    good = {
        "first-version": (["first"], 1, 1, 1),
        "signed-by-more-than-needed": (["first-by-three"], 1, 1, 1),
        "second-version-with-a-new-member": (["first", "second"], 2, 2, 2),
        "governors-handed-over": (["first", "second", "third"], 3, 2, 1),
    }
    bad_files = {
        "no-blank-line-between": ("bad_network", parts["first"] + parts["second"]),
        "something-in-front": ("bad_network", b"\n" + parts["first"]),
        "empty-file": ("bad_network", b""),
    }
    return {
        "fingerprint": pinned,
        "documents": {name: document.decode() for name, document in parts.items()},
        "accepted": [
            {"name": name, "documents": names, "version": version, "members": count, "quorum": quorum}
            for name, (names, version, count, quorum) in good.items()
        ],
        "refused": [
            *(
                {"name": name, "documents": names, "fingerprint": pinned, "error": error}
                for name, (error, names) in _bad_chains().items()
            ),
            {
                "name": "another-fingerprint",
                "documents": ["first"],
                "fingerprint": fingerprint(second),
                "error": "wrong_fingerprint",
            },
            {
                "name": "fingerprint-of-63-digits",
                "documents": ["first"],
                "fingerprint": pinned[:63],
                "error": "wrong_fingerprint",
            },
            *(
                {"name": name, "file": file.decode(), "fingerprint": pinned, "error": error}
                for name, (error, file) in bad_files.items()
            ),
            *(
                {"name": name, "file": file.decode(), "fingerprint": fingerprint(file), "error": error}
                for name, (error, file) in _bad_documents().items()
            ),
        ],
    }


def _bad_chains() -> dict[str, tuple[str, list[str]]]:
    return {
        "one-governor-of-two": ("no_quorum", ["first-by-one"]),
        "one-governor-twice": ("no_quorum", ["first-by-one-twice"]),
        "signature-of-a-stranger": ("unsigned", ["first-with-a-stranger"]),
        "second-signature-of-a-governor": ("unsigned", ["first-by-two-and-one-of-them-again"]),
        "too-few-of-the-old-governors": ("no_quorum", ["first", "second-by-one-of-the-old"]),
        "too-few-of-the-new-governors": ("no_quorum", ["first", "second", "third-by-one-of-the-new"]),
        "false-signature-of-a-governor": ("invalid_signature", ["first", "second-with-a-false-signature"]),
        "text-changed-after-signing": ("invalid_signature", ["first", "second-changed-after-signing"]),
        "member-gone": ("bad_network", ["first", "second", "third-without-a-member"]),
        "log-key-replaced": ("bad_network", ["first", "second-with-another-first-key"]),
        "version-left-out": ("bad_network", ["first", "third"]),
        "version-number-skipped": ("bad_network", ["first", "second-numbered-three"]),
        "version-twice": ("bad_network", ["first", "second", "second"]),
        "versions-in-another-order": ("wrong_fingerprint", ["second", "first"]),
        "another-network": ("bad_network", ["first", "second-of-another-network"]),
    }


def _following(
    before: bytes, version: int, members: Sequence[JsonObject], governors: Sequence[int], threshold: int
) -> bytes:
    previous = hashlib.sha256(text_of(before).encode()).digest()
    text = network_text("ordos", version, previous, body_of(members, governors=governors, threshold=threshold))
    return signed(text, governor(governors[0]))


def signed_by(document: bytes, *numbers: int) -> bytes:
    """Return a network document signed by these governors."""
    return signed(text_of(document), *(governor(number) for number in numbers))


def _bad_documents() -> dict[str, tuple[str, bytes]]:
    """Return first versions with one thing wrong in their text, signed and pinned as if it were right."""
    member = POLICE.member()
    (first,) = member["log_keys"]
    ends, begins = {**first, "until": 3}, {"key": new_log_key().verifier.vkey, "from": 4}
    other = signer_of("police.ordos.example/another").verifier.vkey
    bodies: dict[str, tuple[str, JsonObject]] = {
        "threshold-above-the-governors": ("bad_network", body_of([member], threshold=2)),
        "member-twice": ("bad_network", body_of([member, member])),
        "one-key-for-two-roles": ("bad_network", body_of([POLICE.member(transport=as_plain(POLICE.log))])),
        "log-key-named-otherwise": ("bad_key", body_of([POLICE.member(log_keys=[{**first, "key": other}])])),
        "first-log-key-from-1": ("bad_network", body_of([POLICE.member(log_keys=[{**first, "from": 1}])])),
        "log-key-until-null": ("wrong_type", body_of([POLICE.member(log_keys=[{**first, "until": None}])])),
        "log-key-ends-before-the-next-one": ("bad_network", body_of([POLICE.member(log_keys=[ends, begins])])),
        "role-twice": ("bad_network", body_of([POLICE.member(roles=["department", "department"])])),
        "cosigner-of-the-wrong-kind": ("bad_value", body_of([POLICE.member(cosigner=signer_of("x").verifier.vkey)])),
        "unknown-member": ("unknown_member", body_of([{**member, "motto": "x"}])),
        "no-sealing-key": ("missing_member", body_of([without(member, "sealing")])),
        "unknown-level": ("bad_value", body_of([POLICE.member(level="village")])),
        "url-with-slash-at-the-end": ("bad_value", body_of([POLICE.member(url="https://police.ordos.example/")])),
        "quorum-out-of-reach": ("bad_network", body_of([member], quorum={"faults": 1})),
        "quorum-null": ("wrong_type", body_of([member], quorum=None)),
    }  # fmt: skip
    cases = {name: (error, document_text(1, NOTHING, body)) for name, (error, body) in bodies.items()}
    good = body_of([member])
    cases |= {
        "version-0": ("bad_network", document_text(0, NOTHING, good)),
        "version-1-with-a-previous-one": ("bad_network", document_text(1, bytes(32), good)),
        "name-in-upper-case": ("bad_network", document_text(1, NOTHING, good).replace("\nordos\n", "\nOrdos\n")),
        "body-with-white-space": ("not_canonical", document_text(1, NOTHING, good).replace('":', '": ', 1)),
        "another-format": ("bad_network", document_text(1, NOTHING, good).replace("network/v1", "network/v2")),
    }
    return {name: (error, signed(text, governor(1))) for name, (error, text) in cases.items()}


def as_plain(signer: Signer) -> str:
    """Return the verifier key of the same key pair under another name."""
    return Signer("police.ordos.example/transport", ED25519, signer.seed).verifier.vkey


def document_text(version: int, previous: bytes, body: JsonObject) -> str:
    """Return the text of a network document, whatever its body is worth."""
    return f"suyuan/network/v1\nordos\n{version}\n{encode_base64(previous)}\n{canonical_json(body)}\n"


# Proof files and evidence.


@dataclass(frozen=True, slots=True)
class World:
    """A network of four departments and the logs of a small history."""

    document: bytes
    logs: tuple[Log, ...]

    @property
    def police(self) -> Log:
        """Return the log of the police."""
        return self.logs[0]

    @property
    def tax(self) -> Log:
        """Return the log of the tax department."""
        return self.logs[1]


def world() -> World:
    """Return the history: police to tax; tax to civil affairs, passed on, rejected; police to health by manifest."""
    document = network_of(4)
    police = police_log(document)
    tax, health, civil = (Log.under(one, document) for one in (TAX, HEALTH, CIVIL))
    first, second = (parse_entry(police.raws[index]).ref.model_dump() for index in (1, 2))
    tax.append(receipt("tax receipt", first, payload_digest=DIGEST, rows=2), MORNING + 61_000)
    passed = tax.append(
        share(
            "passed on", CIVIL, resource="income-check", records=[RECORD], purpose="social assistance", parents=[first]
        ),
        MORNING + 90_000,
    )
    health.append(receipt("health receipt", second), MORNING + 62_000)
    civil.append(receipt("civil receipt", passed, outcome="rejected", reason="the file is damaged"), MORNING + 95_000)
    return World(document, (police, tax, health, civil))


def proof_files() -> JsonObject:
    """Return proof files of one entry, good and bad."""
    made = world()
    log = made.police
    checkpoint = log.checkpoint([POLICE, TAX, HEALTH])
    good = log.proof(1, checkpoint)
    small = Log(POLICE, log.head, log.raws[:1])
    proven = {
        "log": POLICE.origin,
        "index": 1,
        "size": 5,
        "cosigned_by": [HEALTH.origin, POLICE.origin, TAX.origin],
        "needed": 3,
    }
    accepted = [
        {"name": "entry-in-the-extra-line", "proof": good.encode().decode(), **proven},
        {"name": "entry-given-beside-the-file", "proof": log.proof(1, checkpoint, extra=None).encode().decode(),
         "entry": log.raws[1].decode(), **proven},
        {"name": "log-of-one-entry", "proof": small.proof(0, small.checkpoint([POLICE, HEALTH, TAX])).encode().decode(),
         **proven, "index": 0, "size": 1},
    ]  # fmt: skip
    return {
        "network": made.document.decode(),
        "accepted": accepted,
        "refused": [
            {"name": name, "proof": data.decode(), "error": error}
            for name, (error, data) in _bad_proofs(made, good).items()
        ],
    }


def _bad_proofs(made: World, good: Proof) -> dict[str, tuple[str, bytes]]:
    log = made.police
    raw = log.raws[1]
    data = good.encode()
    forged = sign_texts(Signer(POLICE.origin, ED25519, seed_of("stolen")), [parse_entry(raw).text])[0]
    changed = raw.replace(b"household", b"Household")
    two = log.checkpoint([POLICE, TAX])
    stranger = Department("stranger").cosigner.cosign(good.checkpoint_note.text, 1)
    other = Proof(good.index, good.hashes, made.tax.checkpoint([POLICE, TAX, HEALTH]), raw)
    return {
        "no-entry": ("not_verified", log.proof(1, good.checkpoint_note, extra=None).encode()),
        "entry-of-another-index": ("not_verified", log.proof(1, good.checkpoint_note, extra=log.raws[2]).encode()),
        "checkpoint-of-another-log": ("not_verified", other.encode()),
        "entry-changed": ("invalid_signature", log.proof(1, good.checkpoint_note, extra=changed).encode()),
        "entry-signed-by-another-key": ("unsigned", log.proof(1, good.checkpoint_note, extra=forged).encode()),
        "no-quorum": ("no_quorum", log.proof(1, two).encode()),
        "line-of-a-stranger": ("unsigned", log.proof(1, add_signatures(good.checkpoint_note, [stranger])).encode()),
        "second-line-of-a-member": ("unsigned", log.proof(1, _twice(good.checkpoint_note, TAX)).encode()),
        "false-cosignature": ("invalid_signature", _flipped(data)),
        "hash-changed": (
            "not_included",
            log.proof(1, good.checkpoint_note, hashes=(*good.hashes[:-1], bytes(32))).encode(),
        ),
        "hash-left-out": ("not_included", log.proof(1, good.checkpoint_note, hashes=good.hashes[:-1]).encode()),
        "another-magic-line": ("bad_proof", data.replace(b"proof@v1", b"proof@v2")),
        "index-with-leading-zero": ("bad_proof", data.replace(b"\nindex 1\n", b"\nindex 01\n")),
        "extra-line-empty": ("bad_proof", data.replace(b"extra " + encode_base64(raw).encode(), b"extra ")),
        "extra-line-behind-the-index": ("bad_proof", _swapped(data)),
        "carriage-returns": ("bad_proof", data.replace(b"\n", b"\r\n")),
    }


def _flipped(data: bytes) -> bytes:
    """Return a note whose last signature has one bit flipped, in canonical base64."""
    head, _, encoded = data.decode().rstrip("\n").rpartition(" ")
    blob = bytearray(parse_base64(encoded))
    blob[-1] ^= 1
    return f"{head} {encode_base64(bytes(blob))}\n".encode()


def _swapped(data: bytes) -> bytes:
    magic, extra, index, *rest = data.split(b"\n")
    return b"\n".join([magic, index, extra, *rest])


def evidence() -> JsonObject:
    """Return evidence files of a record's history, good and bad."""
    made = world()
    four = [POLICE, TAX, HEALTH]
    notes = {log.department.origin: log.checkpoint(four) for log in made.logs}

    def proofs(*places: tuple[int, int]) -> list[bytes]:
        return [made.logs[log].proof(index, notes[made.logs[log].department.origin]).encode() for log, index in places]

    manifest = large_manifest()
    index, path = manifest.prove(OTHERS[1])
    member = {**manifest.ref.model_dump(), "index": index, "proof": [encode_base64(one) for one in path]}
    whole = encode_evidence(
        RECORD, proofs((0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (3, 1)), [_member(manifest)], made.document
    )
    part = encode_evidence(RECORD, proofs((0, 1), (1, 1)), [], made.document)
    by_manifest = encode_evidence(OTHERS[1], proofs((0, 2), (2, 1)), [member], made.document)
    pinned = fingerprint(made.document)
    good = {
        "whole-history": (RECORD, whole),
        "history-by-manifest": (OTHERS[1], by_manifest),
        "sources-left-out": (RECORD, part),
    }
    return {
        "fingerprint": pinned,
        "accepted": [
            {
                "name": name,
                "record": record,
                "evidence": data.decode(),
                "trace": verify_evidence(data, fingerprint=pinned).trace.to_json(),
            }
            for name, (record, data) in good.items()
        ],
        "refused": [
            *(
                {"name": name, "of": "sources-left-out", "replace": pair, "error": error}
                for name, (error, pair) in _edited_evidence().items()
            ),
            *(
                {"name": name, "evidence": data.decode(), "error": error}
                for name, (error, data) in _bad_evidence(made, proofs).items()
            ),
            {
                "name": "another-fingerprint",
                "of": "sources-left-out",
                "replace": ["", ""],
                "fingerprint": fingerprint(network_of(1)),
                "error": "wrong_fingerprint",
            },
        ],
    }


def _member(manifest: Manifest) -> JsonObject:
    index, path = manifest.prove(RECORD)
    return {**manifest.ref.model_dump(), "index": index, "proof": [encode_base64(one) for one in path]}


def _edited_evidence() -> dict[str, tuple[str, list[str]]]:
    """Return edits of a good file: the text that is replaced, once, and what takes its place."""
    return {
        "no-newline-at-the-end": ("bad_evidence", ["\n", ""]),
        "two-newlines-at-the-end": ("not_canonical", ["\n", "\n\n"]),
        "white-space-in-the-json": ("not_canonical", ['"network":', '"network": ']),
        "unknown-member": ("unknown_member", ['{"manifests"', '{"extra":1,"manifests"']),
        "another-schema": ("bad_value", ["evidence/1", "evidence/2"]),
        "member-left-out": ("missing_member", ['"manifests":[],', ""]),
        "record-that-nothing-names": ("not_verified", [RECORD, hash_hex("x")[:32]]),
        "network-document-changed": ("wrong_fingerprint", ["cn-2025", "cn-2026"]),
    }


def _bad_evidence(made: World, proofs: Callable[..., list[bytes]]) -> dict[str, tuple[str, bytes]]:
    document = made.document
    one = proofs((0, 1))
    member = _member(large_manifest())
    broken = proofs((0, 1), (0, 4))
    return {
        "no-proof": ("bad_value", encode_evidence(RECORD, [], [], document)),
        "proof-twice": ("bad_evidence", encode_evidence(RECORD, [*one, *one], [], document)),
        "entry-of-another-history": ("not_verified", encode_evidence(RECORD, proofs((0, 1), (0, 0)), [], document)),
        "entry-that-breaks-its-schema": ("not_verified", encode_evidence(RECORD, broken, [], document)),
        "manifest-that-no-share-has": ("not_verified", encode_evidence(RECORD, one, [member], document)),
        "bit-flipped-in-a-signature": ("invalid_signature", encode_evidence(RECORD, [_flipped(one[0])], [], document)),
        "network-of-other-governors": ("unsigned", encode_evidence(RECORD, one, [], signed_by(document, 2))),
    }


def hash_hex(text: str) -> str:
    """Return the SHA-256 of ``text`` in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


# Requests between peers.


def requests() -> JsonObject:
    """Return signed requests (RFC 9421) and add-checkpoint bodies."""
    created = MORNING // 1000
    path = f"/logs/{hash_hex(POLICE.origin)}/checkpoint"
    checkpoint = police_log(network_of(4)).checkpoint([POLICE, TAX, HEALTH]).encode()
    cases = {
        "get-without-query": ("GET", path, b""),
        "get-with-query": ("GET", f"/v1/logs/{hash_hex(POLICE.origin)}/entries?start=0&limit=1000", b""),
        "post-with-body": ("POST", path, checkpoint),
    }
    return {
        "peer": TAX.origin,
        "transport_key": TAX.transport.verifier.vkey,
        "authority": "police.ordos.example",
        "time_ms": MORNING + 500,
        "signed": [
            {"name": name, **signed_request(method, target, body, created=created, nonce=hash_hex(name)[:22])}
            for name, (method, target, body) in cases.items()
        ],
        "refused": _bad_requests(path, created),
        "add_checkpoint": _add_checkpoints(),
    }


def signed_request(  # noqa: PLR0913 - one argument per part that can be signed
    method: str, target: str, body: bytes, *, created: int, nonce: str, authority: str = "police.ordos.example",
    tag: str = "suyuan/v1", keyid: str = TAX.origin, signer: Signer = TAX.transport, leave_out: str = "",
) -> JsonObject:  # fmt: skip
    """Return a signed request of the tax department to the police, written out by hand (RFC 9421 section 2.5)."""
    path, _, query = target.partition("?")
    digest = f"sha-256=:{encode_base64(hashlib.sha256(body).digest())}:"
    lines = {
        "@method": method,
        "@authority": authority,
        "@path": path,
        "@query": f"?{query}",
        "content-digest": digest,
    }
    lines.pop(leave_out, None)
    covered = " ".join(f'"{name}"' for name in lines)
    parameters = f'({covered});created={created};keyid="{keyid}";alg="ed25519";nonce="{nonce}";tag="{tag}"'
    base = "\n".join([*(f'"{name}": {value}' for name, value in lines.items()), f'"@signature-params": {parameters}'])
    signature = sodium.crypto_sign(base.encode(), signer.secret_key)[:64]
    return {
        "method": method,
        "url": f"https://{authority}{target}",
        "body": body.decode(),
        "created": created,
        "nonce": nonce,
        "signature_base": base,
        "content_digest": digest,
        "signature_input": f"suyuan={parameters}",
        "signature": f"suyuan=:{encode_base64(signature)}:",
    }


def _bad_requests(path: str, created: int) -> list[JsonObject]:
    nonce = hash_hex("refused")[:22]

    def made(**changes: Any) -> JsonObject:
        return signed_request("GET", path, b"", **{"created": created, "nonce": nonce, **changes})

    good = made()
    cases: dict[str, tuple[str, JsonObject]] = {
        "signed-61-seconds-ago": ("peer_signature_expired", made(created=created - 61)),
        "signed-61-seconds-ahead": ("peer_signature_expired", made(created=created + 61)),
        "for-another-host": ("peer_wrong_authority", made(authority="health.ordos.example")),
        "by-nobody": ("peer_unknown", made(keyid="stranger.ordos.example/log")),
        "by-another-key": ("peer_signature_invalid", made(signer=TAX.log)),
        "another-method": ("peer_signature_invalid", {**good, "method": "POST"}),
        "another-path": ("peer_signature_invalid", {**good, "url": good["url"].replace("checkpoint", "tile/0/000")}),
        "query-added": ("peer_signature_invalid", {**good, "url": f"{good['url']}?start=0"}),
        "another-body": ("peer_digest_mismatch", {**good, "body": "x"}),
        "query-not-covered": ("peer_signature_incomplete", made(leave_out="@query")),
        "digest-not-covered": ("peer_signature_incomplete", made(leave_out="content-digest")),
        "another-tag": ("peer_signature_malformed", made(tag="other/v1")),
        "nonce-of-21-characters": ("peer_signature_malformed", made(nonce=nonce[:21])),
        "nonce-with-a-plus": ("peer_signature_malformed", made(nonce=f"+{nonce}")),
        "no-signature": ("peer_signature_missing", {**good, "signature": None}),
        "no-digest": ("peer_digest_mismatch", {**good, "content_digest": None}),
    }
    return [{"name": name, **request, "error": error} for name, (error, request) in cases.items()]


def _add_checkpoints() -> list[JsonObject]:
    row = leaves(7)
    note = cosigned(POLICE, row, [])
    proof = tuple(prove_consistency(Leaves(row), old_size=TreeSize(3), new_size=TreeSize(7)))
    body = AddCheckpoint(TreeSize(3), proof, note).encode()
    first = AddCheckpoint(TreeSize(0), (), note).encode()
    text = body.decode()
    line = encode_base64(proof[0])
    rootless = signed(f"{POLICE.origin}\n7\n", POLICE.log).decode()
    bad = {
        "no-old-line": ("bad_proof", text.partition("\n")[2]),
        "old-with-leading-zero": ("bad_proof", text.replace("old 3", "old 03")),
        "two-spaces": ("bad_proof", text.replace("old 3", "old  3")),
        "no-empty-line": ("bad_proof", text.replace("\n\n", "\n")),
        "proof-line-of-31-bytes": ("bad_proof", text.replace(line, encode_base64(proof[0][:31]))),
        "64-proof-lines": ("too_many", text.replace(f"{line}\n", f"{line}\n" * 64)),
        "no-signature": ("bad_note", text.partition("\n—")[0] + "\n"),
        "checkpoint-without-root": ("bad_checkpoint", "old 0\n\n" + rootless),
    }
    return [
        {
            "name": "from-three-to-seven",
            "body": text,
            "old_size": 3,
            "size": 7,
            "proof": [encode_base64(one) for one in proof],
        },
        {"name": "for-the-first-time", "body": first.decode(), "old_size": 0, "size": 7, "proof": []},
        *({"name": name, "body": data, "error": error} for name, (error, data) in bad.items()),
    ]


# The files.

FILES: dict[str, tuple[Callable[[], JsonObject], str]] = {
    "checkpoints": (
        checkpoints,
        "Checkpoints with cosignatures, judged against network documents; quorums for 1 to 13 members.",
    ),
    "encodings": (encodings, "Decimals, base64 and times."),
    "entries": (entries, "A log's chain of entries under its network document, and entries that cannot be its third."),
    "events": (
        events,
        "Events that keep to their type's schema, and events that are refused, with the member at fault.",
    ),
    "evidence": (evidence, "Evidence files of a record's history, with the trace that they prove."),
    "json": (canonical_jsons, "JSON texts: canonical, valid in another spelling, refused."),
    "keys": (keys, "Keys made of published seeds (never use them), signatures, signed notes."),
    "manifests": (manifests, "Manifests, and proofs that a record is in one."),
    "merkle": (
        merkle,
        'Roots and proofs; leaf i is the leaf hash of the decimal spelling of i, so leaf 0 of the byte "0".',
    ),
    "networks": (networks, "Files of network documents, pinned by the fingerprint of version 1."),
    "proofs": (proof_files, "Proof files of single entries, judged against a network document."),
    "records": (records, "Record references under one department's key."),
    "requests": (requests, "Requests between peers: HTTP message signatures, bodies of add-checkpoint."),
    "tiles": (tiles, "Tile paths, entry bundles, the tiles of trees of several sizes (leaves as in merkle.json)."),
}


def documents() -> dict[str, bytes]:
    """Return the bytes of every file by its name."""
    return {f"{name}.json": encode({"about": about, **make()}) for name, (make, about) in FILES.items()}


def encode(document: JsonObject) -> bytes:
    """Return a file's bytes: ASCII throughout, so that no editor and no mail program can normalise what is in it."""
    return (json.dumps(document, ensure_ascii=True, indent=1) + "\n").encode("ascii")


def main() -> int:
    """Write all files."""
    VECTORS.mkdir(exist_ok=True)
    total = 0
    for name, data in documents().items():
        (VECTORS / name).write_bytes(data)
        total += len(data)
        print(f"{len(data):>8} {name}")
    print(f"{total:>8} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
