"""Token keys rotated while tokens live."""

from __future__ import annotations

import stat
import threading

import pytest
from tests.api.identity.setting import V3, build, made, password

from gureum.foundation.errors import Unauthorized
from gureum.services.identity.key_rotation import rotate_secret_keys
from gureum.services.identity.service import SECRETS
from gureum.services.identity.tokens.fernet import LOOK_EVERY_S, TokenKeys, TokenPayload

PAYLOAD = TokenPayload("u", ("password",), 1.0, 2.0, ("a",))


def test_tokens_outlive_a_rotation_and_new_ones_are_read_by_others(world, tmp_path, virtual_clock):
    other = build(world.database, tmp_path / "keys")
    old = world.token(password("demo"))
    TokenKeys(tmp_path / "keys").rotate()
    virtual_clock.advance(LOOK_EVERY_S + 1)
    new = world.token(password("demo"))
    for token in (old, new):
        assert world.alive(world.with_token(token))
        assert other.alive(other.with_token(token))


def test_another_process_may_be_first_to_seal_with_the_new_key(world, tmp_path, virtual_clock):
    """The staged key is on every host before anything is sealed with it: a reader that has not looked yet can open."""
    other = TokenKeys(tmp_path / "keys")
    writer = TokenKeys(tmp_path / "keys")
    writer.rotate()
    assert other.open(writer.seal(PAYLOAD)) == PAYLOAD


def test_a_key_that_is_gone_opens_nothing(tmp_path, virtual_clock):
    keys = TokenKeys(tmp_path / "k")
    token = keys.seal(PAYLOAD)
    for _ in range(4):
        keys.rotate()
    with pytest.raises(Unauthorized):
        keys.open(token)
    assert len(list((tmp_path / "k").iterdir())) <= 4


def test_processes_that_start_together_share_the_first_keys(tmp_path):
    for attempt in range(20):
        folder, made, together = tmp_path / str(attempt), [], threading.Barrier(4)

        def start(folder=folder, made=made, together=together):
            together.wait()
            made.append(TokenKeys(folder))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tokens = [keys.seal(PAYLOAD) for keys in made]
        assert [TokenKeys(folder).open(token) for token in tokens] == [PAYLOAD] * 4
        assert sorted(path.name for path in folder.iterdir()) == ["0", "1"]


def test_a_staged_key_that_was_never_made_is_made_by_the_rotation(tmp_path):
    keys = TokenKeys(tmp_path / "k")
    token = keys.seal(PAYLOAD)
    (tmp_path / "k" / "0").unlink()
    keys.rotate()
    assert keys.open(token) == PAYLOAD
    assert (tmp_path / "k" / "0").exists()


def test_keys_are_readable_by_their_owner_alone(tmp_path):
    TokenKeys(tmp_path / "k").rotate()
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (tmp_path / "k").iterdir())


def test_keys_of_another_cloud_open_nothing(tmp_path):
    token = TokenKeys(tmp_path / "a").seal(PAYLOAD)
    with pytest.raises(Unauthorized):
        TokenKeys(tmp_path / "b").open(token)


def test_stored_secrets_are_sealed_anew_while_others_read(world, tmp_path, virtual_clock):
    folder = tmp_path / SECRETS
    admin, other = world.client(), build(world.database, tmp_path / "keys")
    ids = [made(admin, "credentials", "credential", {"type": "t", "blob": f"blob-{n}"}) for n in range(7)]
    config = {"config": {"ldap": {"url": "u", "password": "p"}}}
    assert admin.put(f"{V3}/domains/default/config", config).status == 201
    consumer = admin.post(f"{V3}/OS-OAUTH1/consumers", {"consumer": {}})
    assert consumer.status == 201
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    for round_ in range(5):
        assert rotate_secret_keys(world.database, folder) == 9
        for client in (world.client(), other.client()):  # neither has looked at the folder since
            blobs = {client.get(f"{V3}/credentials/{id_}").json()["credential"]["blob"] for id_ in ids}
            assert blobs == {f"blob-{n}" for n in range(7)}, round_
        virtual_clock.advance(LOOK_EVERY_S + 1)
    assert not set(first.values()) & {path.read_bytes() for path in folder.iterdir()}


def test_a_reader_in_the_middle_of_a_rotation_looks_again(tmp_path, virtual_clock):
    writer, reader = TokenKeys(tmp_path / "k"), TokenKeys(tmp_path / "k")
    stop = threading.Event()
    failures = []

    def read():
        while not stop.is_set():
            try:
                reader._load()
                reader.seal(PAYLOAD)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(60):
        writer.rotate()
    stop.set()
    thread.join()
    assert not failures
