"""`[auth] hash` chooses how new passwords are kept; what was kept in another way still opens."""

from __future__ import annotations

import pytest

from gureum.foundation.config import Config, ConfigError
from gureum.foundation.errors import BadRequest
from gureum.services.identity.config import AuthConfig
from gureum.services.identity.tokens.passwords import Passwords

CHEAP = {
    "argon2id": AuthConfig(hash="argon2id", hash_time_cost=1, hash_memory_kib=8),
    "bcrypt": AuthConfig(hash="bcrypt", hash_time_cost=4),
    "pbkdf2": AuthConfig(hash="pbkdf2", hash_time_cost=10),
}
MARKS = {"argon2id": "$argon2id$v=19$m=8,t=1,p=1$", "bcrypt": "$2b$04$", "pbkdf2": "$pbkdf2-sha512$10$"}


@pytest.mark.parametrize("kind", CHEAP)
def test_the_option_chooses_and_every_choice_reads_all(kind):
    stored = Passwords(CHEAP[kind]).hash("pässword")
    assert stored.startswith(MARKS[kind])
    for reader in CHEAP.values():
        assert Passwords(reader).fits("pässword", stored)
        assert not Passwords(reader).fits("password", stored)


@pytest.mark.parametrize("kind", CHEAP)
def test_a_hash_is_salted_and_nobody_has_no_password(kind):
    passwords = Passwords(CHEAP[kind])
    assert passwords.hash("same") != passwords.hash("same")
    assert not passwords.fits("", None)


def test_hashes_from_elsewhere_open():
    passwords = Passwords(CHEAP["argon2id"])
    # Known answers: of the bcrypt reference and of RFC 8018 with HMAC-SHA-512 ("password", "salt", 1 round).
    assert passwords.fits("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
    key = "hn9wzxreAs/zdSWZo6U9xK80x6ZpgVrl1RNVThyM8lLALUcKKFoFAbrZmb/pQ8CPBQI119aLHaVeY/c7YKV/zg"
    assert passwords.fits("password", f"$pbkdf2-sha512$1$c2FsdA${key}")


@pytest.mark.parametrize("broken", ["plain", "$pbkdf2-sha512$", "$pbkdf2-sha512$99999999999$c2FsdA$AA", "$argon2id$"])
def test_what_is_no_hash_opens_nothing(broken):
    assert not Passwords(CHEAP["argon2id"]).fits("plain", broken)


def test_bcrypt_keeps_no_password_in_part():
    with pytest.raises(BadRequest):
        Passwords(CHEAP["bcrypt"]).hash("x" * 73)


def test_an_unknown_hash_is_refused_when_the_file_is_read():
    with pytest.raises(ConfigError, match="md5.*auth.hash"):
        Config(tables={"auth": {"hash": "md5"}}).section(AuthConfig)
