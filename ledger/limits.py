"""How long and of which form the members of events are: what the models and the recogniser hold them to.

They stand apart from the models (ledger/event), so that what recognises events needs none of them.
"""

import re

ORIGIN_CHARACTERS_MAX = 128  # an origin is a line of every entry, so it must stay short
TEXT_CHARACTERS_MAX = 500  # a purpose or a legal basis: a sentence with its citation, not a document
NAME_CHARACTERS_MAX = 200  # codes and names
PSEUDONYM_CHARACTERS_MAX = 128
LABELS_MAX = 16
LABEL_CHARACTERS_MAX = 256

ORIGIN_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[a-z0-9._~-]+)+$"
HASH_PATTERN = r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"  # 32 bytes: the last letter has two bits to spare, which are 0
EVENT_ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
RECORD_REF_PATTERN = r"^[0-9a-f]{32}$"
LABEL_NAME_PATTERN = r"^[a-z][a-z0-9_.-]{0,63}$"
DIGEST_PATTERN = r"^(sha-256|hmac-sha-256|sm3):" + HASH_PATTERN.removeprefix("^")

RECORDS_MAX = 1000  # references written out in one share; more go into a manifest, or an entry would not fit its size
FIELDS_MAX = 200
PARENTS_MAX = 100
MANIFEST_RECORDS_MAX = 100_000  # a manifest of that size is 3.3 MB of text; a larger transfer is several shares

_ORIGIN = re.compile(ORIGIN_PATTERN)
_ORIGINS_KEPT = 2048  # those of the next entries are mostly the same: at most half a megabyte
_origins: set[str] = set()


def is_origin(text: str) -> bool:
    """Tell whether a text has the form of a log's origin; one that was found to have it is remembered."""
    if text in _origins:
        return True
    if len(text) > ORIGIN_CHARACTERS_MAX or _ORIGIN.fullmatch(text) is None:
        return False
    remember(_origins, text, _ORIGINS_KEPT)
    return True


def remember(known: set[str], text: str, count_max: int) -> None:
    """Add a text to those that were found to hold; where so many are known, all of them are forgotten first."""
    if len(known) >= count_max:
        known.clear()
    known.add(text)
