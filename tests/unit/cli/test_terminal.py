"""Messages for people name commands as they can be typed where the person stands."""

from __future__ import annotations

import shutil

from gureum.cli.terminal import CLONE, explain, runnable


def test_a_command_in_a_message_can_be_typed_in_the_clone(monkeypatch, capfd):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.chdir(CLONE)
    explain("The cloud runs with other options.", "Run `gureum down` first.")
    assert "Run `./gureum down` first." in capfd.readouterr().err


def test_a_command_in_a_message_leads_to_the_clone_from_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.chdir(tmp_path)
    text = runnable("See `gureum status`.")
    command = text.removeprefix("See `").removesuffix(" status`.")
    assert (tmp_path / command).resolve() == CLONE / "gureum"


def test_a_command_on_the_path_is_named_alone(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/gureum")
    assert runnable("See `gureum status`.") == "See `gureum status`."
