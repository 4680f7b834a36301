"""Roles as systemd units, and the settings that a host's libvirt gets."""

from __future__ import annotations

import configparser
import socket
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from gureum.cli.__main__ import ROLES as NAMED
from gureum.cli.install import install_for_people, print_openrc
from gureum.drivers.hypervisor.libvirt import host_settings
from gureum.drivers.hypervisor.libvirt.host_settings import QEMU_SETTINGS, differing, problems, with_settings
from gureum.foundation import urls
from gureum.foundation.config import load
from gureum.lab.installing import ROLES, unit_text
from gureum.lab.launch import CLONE, SOURCE

DEBIAN = """\
# Master configuration file for the QEMU driver.
#user = "libvirt-qemu"
cgroup_controllers = [ "cpu", "devices" ]
max_core = 0
"""


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str
    parsed.read_string(unit_text(ROLES[name], Path("/opt/gureum/.venv/bin/python"), Path("/opt/gureum/src")))
    return parsed


def test_command_line_offers_every_role():
    assert tuple(ROLES) == NAMED


@pytest.mark.parametrize("name", ROLES)
def test_unit_starts_a_module_that_exists_and_ends_it_alone(name):
    service = unit(name)["Service"]
    python, _, module, *_ = service["ExecStart"].split()
    assert python == "/opt/gureum/.venv/bin/python"
    assert (SOURCE / module.replace(".", "/")).with_suffix(".py").exists()
    assert (service["KillMode"], service["UMask"], service["Restart"]) == ("process", "0077", "always")


def test_control_plane_is_no_root_and_shares_no_folder_with_the_agent():
    api, host = unit("api")["Service"], unit("host")["Service"]
    assert (api["User"], host["User"]) == ("gureum", "root")
    assert api["StateDirectory"] != host["StateDirectory"]
    assert f"/var/lib/{host['StateDirectory']}" in host["ExecStart"]


def test_no_unit_names_a_password_or_a_broker():
    assert not [name for name in ROLES if "--bus" in unit_text(ROLES[name], Path("p"), Path("s"))]


def test_debians_qemu_conf_lacks_every_setting():
    assert differing(DEBIAN) == [f"{name} = {value}" for name, value in QEMU_SETTINGS.items()]


def test_settings_are_written_once_and_the_rest_stays():
    written = with_settings(DEBIAN)
    assert differing(written) == []
    assert '#cgroup_controllers = [ "cpu", "devices" ]' in written
    assert "\nmax_core = 0\n" in written
    assert with_settings(written) == written


def test_problems_name_the_lines_and_the_remedy(tmp_path, monkeypatch):
    file = tmp_path / "qemu.conf"
    file.write_text(with_settings(DEBIAN))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    assert list(problems(file)) == []
    file.write_text(with_settings(DEBIAN).replace("namespaces = []\n", ""))
    ((problem, remedy),) = problems(file)
    assert problem == f"{file} lacks: namespaces = []"
    assert "gureum install host" in remedy


def test_own_name_that_is_unknown_at_once_is_no_problem(tmp_path, monkeypatch):
    file = tmp_path / "qemu.conf"
    file.write_text(with_settings(""))

    def unknown(*_words):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert list(problems(file)) == []


def test_host_whose_own_name_resolves_slowly_is_told(tmp_path, monkeypatch):
    file = tmp_path / "qemu.conf"
    file.write_text(with_settings(""))
    monkeypatch.setattr(host_settings, "_SLOW_S", -1.0)
    ((problem, remedy),) = problems(file)
    assert "does not resolve at once" in problem
    assert remedy == f"Run: echo '127.0.1.1 {socket.gethostname()}' >>/etc/hosts"


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        (["install", "api", "worker"], {"control"}),
        (["install", "host"], {"host"}),
        (["install", "api", "host"], {"control", "host"}),
        (["install", "nonsense"], set()),
    ],
)
def test_launcher_installs_what_the_roles_import_and_nothing_for_a_mistake(words, extras):
    launcher = types.ModuleType("launcher")
    loader = SourceFileLoader("launcher", str(CLONE / "gureum"))
    launcher.__file__ = loader.path
    exec(loader.get_code("launcher"), launcher.__dict__)
    assert launcher.wanted_extras(words) == extras


def test_each_role_is_installed_once(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("gureum.lab.installing.install_roles", lambda names, _report: seen.append(names) or [])
    assert install_for_people(["api", "worker", "api"]) == 0
    assert seen == [["api", "worker"]]


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ('host = "0.0.0.0"', "http://192.0.2.7:8774"),
        ('host = "::"\nport = 9000', "http://192.0.2.7:9000"),
        ('host = "::1"', "http://[::1]:8774"),
        ('host = "0.0.0.0"\npublic_url = "https://cloud.example"', "https://cloud.example"),
    ],
)
def test_openrc_and_catalog_have_an_address_that_clients_can_use(tmp_path, monkeypatch, capsys, api, url):
    monkeypatch.setattr(urls, "own_address", lambda: "192.0.2.7")
    file = tmp_path / "gureum.toml"
    file.write_text(f"[api]\n{api}\n")
    assert print_openrc(file) == 0
    assert f"export OS_AUTH_URL='{url}/identity/v3'\n" in capsys.readouterr().out
    assert load(file).public_url == url
