"""The load: shares of about 600 bytes with one record reference, always the same for the same number.

Identifiers, references and digests look random, as they are in life: they compress badly and hit an index anywhere. The
words repeat from a few lists, as they do in life too, and most of them are Chinese.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

PURPOSES = (
    "办理城乡居民基本医疗保险参保登记时核验户籍信息",
    "审核公共租赁住房申请家庭的收入和财产状况",
    "义务教育阶段新生入学资格审查与学区核对",
    "失业保险金申领人员就业状态比对",
    "高龄津贴发放对象生存状态定期核验",
    "个人所得税专项附加扣除信息复核",
)
BASES = (
    "《政务数据共享条例》第二十一条及部门间共享协议〔2025〕17号",
    "《中华人民共和国社会保险法》第五十七条",
    "《公共租赁住房管理办法》第八条;市级共享目录第3-042项",
    "《中华人民共和国义务教育法》第十二条及年度招生工作通知",
)
RESOURCES = ("household-register", "income-summary", "real-estate-title", "insurance-status", "school-roll")
SYSTEMS = ("gongan-rkk-01", "shuiwu-gs3", "yibao-cb-2", "minzheng-shjz", "fangchan-djxt")
METHODS = ("api", "api", "api", "database", "file")
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def share(number: int, consumer: str, *, record: str | None = None, parents: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the share of that number."""
    seed = hashlib.sha512(b"share %d" % number).digest()
    one = int.from_bytes(seed[60:], "big")
    event = {
        "bytes": 500 + one % 30_000,
        "case": f"2026-{PURPOSES[one % 6][:2]}-{one % 1_000_000:06d}",
        "consumer": consumer,
        "fields": ["name", "status", "valid_until"],
        "id": uuid_of(seed),
        "legal_basis": BASES[one % 4],
        "method": METHODS[one % 5],
        "mode": "query",
        "occurred_at": _stamp(number),
        "operator": f"op-{seed[40:46].hex()}",
        "payload_digest": f"sha-256:{b64encode(seed[:32]).decode()}",
        "purpose": PURPOSES[one % 6],
        "records": [seed[32:48].hex() if record is None else record],
        "resource": RESOURCES[one % 5],
        "rows": 1 + one % 20,
        "system": SYSTEMS[one % 5],
        "type": "share",
    }
    if parents:
        event["parents"] = list(parents)
    return event


def receipt(number: int, answered: dict[str, Any]) -> dict[str, Any]:
    """Return the receipt of that number, which accepts the share at a reference."""
    seed = hashlib.sha512(b"receipt %d" % number).digest()
    return {
        "id": uuid_of(seed),
        "occurred_at": _stamp(number),
        "operator": f"op-{seed[40:46].hex()}",
        "outcome": "accepted",
        "share": answered,
        "type": "receipt",
    }


def reference(name: str) -> str:
    """Return a record reference that follows from a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def uuid_of(seed: bytes) -> str:
    """Return a UUID made of the first bytes of ``seed``."""
    digits = seed[:16].hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def id_of_share(number: int) -> str:
    """Return the id of the share of that number."""
    return uuid_of(hashlib.sha512(b"share %d" % number).digest())


def _stamp(number: int) -> str:
    moment = _BEGINNING + timedelta(milliseconds=37 * number)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
