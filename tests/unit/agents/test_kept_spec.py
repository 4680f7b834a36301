"""What a host keeps of a server's administrator password: nothing."""

from __future__ import annotations

from gureum.agents.hypervisor.protocol import GuestData, ServerSpec
from gureum.agents.hypervisor.server_store import ServerStore, essence

PASSWORD = "Hunter-2"


def spec(password=""):
    return ServerSpec(
        "s1", "one", 1, 64, 1, "running", 1, guest=GuestData(meta_data='{"uuid": "s1"}', admin_pass=password)
    )


def test_the_password_is_neither_in_the_file_nor_in_memory(tmp_path):
    store = ServerStore(tmp_path)
    store.save_spec(spec(PASSWORD))
    assert store.spec("s1") == spec()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if PASSWORD.encode() in file.read_bytes()]


def test_a_wish_with_and_without_it_is_one_wish():
    assert essence(spec(PASSWORD)) == essence(spec())
