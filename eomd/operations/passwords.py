"""Passwords: which may be chosen, and how they are kept.

Hashing blocks for a tenth of a second: never on the loop.
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 256
#: of RFC 9106's second choice, with one lane: many who log in at once share two cores
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)

#: known to everybody; long enough ones alone, shorter ones are refused anyway
_DEFAULTS = frozenset(
    {
        "administrator",
        "adminadminadmin",
        "changemechangeme",
        "changethispassword",
        "correcthorsebatterystaple",
        "defaultpassword",
        "eomdeomdeomd",
        "iloveyou1234",
        "letmeinletmein",
        "passw0rdpassw0rd",
        "password1234",
        "password12345",
        "password123456",
        "passwordpassword",
        "p@ssw0rd1234",
        "qwertyqwerty",
        "qwertyuiop12",
        "qwertyuiop123",
        "rootrootroot",
        "secretsecret",
        "testtesttest",
        "welcomewelcome",
        "123456789012",
        "1234567890123",
        "1q2w3e4r5t6y",
        "111111111111",
        "000000000000",
    }
)


def find_weakness(password: str, name: str) -> str | None:
    """Return why this password may not be chosen by that user; None where it may."""
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        return f"must have {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters"
    plain = password.casefold()
    if plain in _DEFAULTS or len(set(plain)) < 5:
        return "is one that everybody tries first"
    if name.casefold() in plain and len(plain) - len(name) < PASSWORD_CHARACTERS_MIN // 2:
        return "must be more than the name"
    return None


def hash_password(password: str) -> str:
    """Return what is kept of a password: argon2id, its parameters and salt included. Blocks."""
    return _HASHER.hash(_normal(password))


def is_password(password: str, kept: str) -> bool:
    """Tell whether this is the password that was hashed. Blocks as long for a wrong one."""
    try:
        return _HASHER.verify(kept, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Tell whether it was hashed with other parameters than are used today."""
    try:
        return _HASHER.check_needs_rehash(kept)
    except InvalidHashError:
        return True


def _normal(password: str) -> bytes:
    """Keyboards differ in how they put an accent on a letter."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
