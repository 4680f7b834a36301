"""Which guest image a real cloud starts with."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from gureum.lab import launch
from gureum.lab.refusal import Refusal


class Report:
    def __init__(self):
        self.said = []

    def step(self, _title):
        return nullcontext()

    def done(self, title, _seconds):
        self.said.append(title)


@pytest.fixture
def no_archive(monkeypatch, tmp_path):
    """Debian's archive is out of reach; the folder of images that earlier runs built."""

    def refuse():
        raise Refusal("The guest image could not be built: no way to the archive.", "Mend that.")

    monkeypatch.setattr(launch, "_build_image", refuse)
    monkeypatch.setattr(launch, "CACHE", tmp_path)
    (tmp_path / "guest").mkdir()
    return tmp_path / "guest"


def test_earlier_image_serves_when_no_new_one_can_be_built(no_archive):
    (no_archive / "mini-1.qcow2").touch()
    report = Report()
    assert launch._new_or_earlier_image(report) == str(no_archive / "mini-1.qcow2")
    assert report.said == ["no new guest image could be built: an earlier one"]


def test_without_any_image_the_reason_is_told(no_archive):
    with pytest.raises(Refusal, match="no way to the archive"):
        launch._new_or_earlier_image(Report())
