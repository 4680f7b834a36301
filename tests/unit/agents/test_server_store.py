"""What an agent remembers survives it, and one bad folder never stops the others."""

from __future__ import annotations

import pytest

from gureum.agents.hypervisor import console
from gureum.agents.hypervisor.files import is_safe_name, write_whole
from gureum.agents.hypervisor.protocol import ImageSource, NicSpec, ServerSpec
from gureum.agents.hypervisor.server_store import Effect, ServerStore, essence


def spec_of(server_id, address="10.0.0.5", **changes):
    nic = NicSpec("port-" + server_id, "net", "fa:16:3e:00:00:01", fixed_ips=(address,))
    return ServerSpec(server_id, server_id, 1, 64, 1, "running", 1, nics=(nic,), **changes)


def test_a_new_store_knows_what_the_old_one_did(tmp_path):
    store = ServerStore(tmp_path)
    store.save_spec(spec_of("one"))
    store.save_effect("one", Effect(3, 2, 1))
    assert store.save_password("one", "secret")
    again = ServerStore(tmp_path)
    assert again.spec("one") == spec_of("one")
    assert again.effect("one") == Effect(3, 2, 1)
    assert again.password("one") == "secret"
    assert again.guest("net", "10.0.0.5") == spec_of("one")
    assert not again.save_password("one", "other")
    again.forget_password("one")
    again.forget_password("one")
    assert (again.password("one"), ServerStore(tmp_path).password("one")) == ("", "")
    assert again.save_password("one", "other")


def test_a_changed_address_is_no_longer_the_guests(tmp_path):
    store = ServerStore(tmp_path)
    store.save_spec(spec_of("one"))
    store.save_spec(spec_of("one", "10.0.0.6"))
    assert store.guest("net", "10.0.0.5") is None
    assert store.guest("net", "10.0.0.6").server_id == "one"


def test_a_guest_is_known_by_its_link_local_address_in_its_network_alone(tmp_path):
    store = ServerStore(tmp_path)
    store.save_spec(spec_of("one"))
    assert store.guest("net", "fe80::f816:3eff:fe00:1").server_id == "one"
    assert store.guest("other", "fe80::f816:3eff:fe00:1") is None
    assert store.guest("net", "fe80::f816:3eff:fe00:2") is None


def test_removed_is_forgotten(tmp_path):
    store = ServerStore(tmp_path)
    store.save_spec(spec_of("one"))
    store.remove("one")
    store.remove("one")
    assert list(tmp_path.iterdir()) == []
    assert store.guest("net", "10.0.0.5") is None
    assert ServerStore(tmp_path).ids() == []


def test_one_bad_server_never_stops_the_others(tmp_path):
    store = ServerStore(tmp_path)
    store.save_spec(spec_of("good"))
    store.save_spec(spec_of("bad"))
    (tmp_path / "bad" / "spec.json").write_text('{"server_id": 7')
    (tmp_path / "half-removed").mkdir()
    (tmp_path / "half-removed" / "effect.json").write_text("{}")
    again = ServerStore(tmp_path)
    assert again.ids() == ["good"]
    assert list(again.unreadable) == ["bad"]
    assert not (tmp_path / "half-removed").exists()
    again.save_spec(spec_of("bad"))
    assert again.unreadable == {}


def test_a_repeated_spec_costs_no_write(tmp_path):
    store = ServerStore(tmp_path)
    image = ImageSource("i", "raw", 1, url="http://a/?signature=1")
    store.save_spec(spec_of("one", image=image))
    written = (tmp_path / "one" / "spec.json").stat().st_ino
    later = spec_of("one", image=ImageSource("i", "raw", 1, url="http://a/?signature=2"))
    store.save_spec(later)
    assert (tmp_path / "one" / "spec.json").stat().st_ino == written
    assert store.spec("one").image.url.endswith("2")
    assert essence(later) == essence(spec_of("one", image=image))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    write_whole(path, b"old")
    (tmp_path / "f.part").mkdir()
    with pytest.raises(OSError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "../x", "a\x00", "-x", "a" * 65, "a b", "é"])
def test_unsafe_names(text):
    assert not is_safe_name(text)


def test_console_log_is_bounded_and_read_from_its_end(tmp_path):
    path = tmp_path / "console.log"
    assert console.read_last(path, 5) == ""
    assert not console.trim(path)
    with path.open("ab") as engine:
        engine.write(b"first\n" + b"x" * 99 + b"\n\xffmiddle\nlast\n")
        engine.flush()
        assert console.read_last(path, 2) == "\ufffdmiddle\nlast\n"
        assert console.read_last(path, 0) == ""
        assert console.trim(path, limit_bytes=100, kept_bytes=12)
        engine.write(b"more\n")
        engine.flush()
    assert path.read_bytes() == b"middle\nlast\nmore\n"
    assert not console.trim(path, limit_bytes=100)
