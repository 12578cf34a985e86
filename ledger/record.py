r"""Record references: keyed pseudonyms, so that no personal data enters the ledger (mechanisms M32, M96).

A reference is HMAC-SHA-256 under the key of the department where the record comes from, over

    suyuan/record/v1 \n <scheme> \n <identifier> \n

cut to its first 16 bytes (RFC 2104 section 5) and written as 32 lowercase hexadecimal digits: short enough that 1,000
of them fit into one entry, long enough that no two records of a country share one. A plain hash would not do: the 18
digits of an ID number can be tried out in an afternoon. ``scheme`` says what the identifier is (``resident-id``,
``case``), so that equal numbers of different kinds differ.
"""

import hashlib
import hmac
import re
import unicodedata

from ledger.errors import BadValueError, TooLongError

KEY_BYTES = 32
REFERENCE_DIGITS = 32  # 16 bytes, half of what the hash gives
IDENTIFIER_CHARACTERS_MAX = 1000
_SCHEME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def record_ref(key: bytes, identifier: str, *, scheme: str = "record") -> str:
    """Return the reference of a record that its department knows as ``identifier``.

    The identifier is taken in Unicode normal form C without white space around it, so that two systems of a department
    that spell it alike to the eye find the same record.

    Raises:
        BadValueError: an empty identifier, one with characters that cannot be seen, or a scheme that is no name.
        TooLongError: an identifier of more than 1,000 characters.
    """
    assert len(key) == KEY_BYTES
    limit = IDENTIFIER_CHARACTERS_MAX
    text = unicodedata.normalize("NFC", identifier).strip()
    if not text or not text.isprintable():
        raise BadValueError("the identifier is empty, or has characters that cannot be seen", field="identifier")
    if len(text) > limit:
        raise TooLongError(f"at most {limit} characters", field="identifier", limit=limit)
    if _SCHEME.fullmatch(scheme) is None:
        raise BadValueError("a scheme has 1 to 64 of a-z, 0-9, dot, hyphen and underscore", field="scheme")
    message = f"suyuan/record/v1\n{scheme}\n{text}\n".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:REFERENCE_DIGITS]
