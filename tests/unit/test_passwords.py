"""Which passwords may be chosen, and what is kept of them."""

from __future__ import annotations

import pytest

from eomd.operations.passwords import (
    PASSWORD_CHARACTERS_MAX,
    find_weakness,
    hash_password,
    is_outdated,
    is_password,
)

GOOD = "kite rain 7 lantern"


@pytest.mark.parametrize(
    ("password", "weakness"),
    [
        ("elevenchars", "12 to 256"),
        ("x" * (PASSWORD_CHARACTERS_MAX + 1), "12 to 256"),
        ("Password1234", "everybody"),
        ("aaaaaaaaaaaaaaaa", "everybody"),
        ("abcabcabcabcabc", "everybody"),
        ("Liwei.zhang12", "name"),
        ("administrator", "everybody"),
    ],
)
def test_a_password_that_anybody_would_try_is_refused(password: str, weakness: str) -> None:
    assert weakness in str(find_weakness(password, "liwei.zhang"))


@pytest.mark.parametrize("password", [GOOD, "很长的一句只有我知道的话啊", "\ud800 kite rain lantern"])
def test_another_one_is_taken_and_found_again(password: str) -> None:
    assert find_weakness(password, "li") is None
    kept = hash_password(password)
    assert kept.startswith("$argon2id$")
    assert is_password(password, kept)
    assert not is_password(password + " ", kept)
    assert not is_outdated(kept)


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    assert is_password("cafe\u0301 at the harbour", hash_password("caf\u00e9 at the harbour"))


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$bad"])
def test_what_is_no_hash_is_nobody_s_password(kept: str) -> None:
    assert not is_password(kept, kept)


def test_a_weaker_hash_is_outdated() -> None:
    assert is_outdated(hash_password(GOOD).replace("t=3", "t=2"))
    assert is_outdated("plain")
