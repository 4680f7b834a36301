"""What `gureum service enable` writes into a configuration that a person may have edited."""

from __future__ import annotations

import tomllib

import pytest

from gureum.cli.services import with_services
from gureum.lab.refusal import Refusal

SECTION = {"profile": "core", "enabled": ["notices"]}
NESTED = """# mine
state = "/x"

[image]
folder = "images"  # kept

[image.web]
idle_s = 10.5

[[image.properties]]
pattern = "x"
"""


@pytest.mark.parametrize("before", ["", '[services]\nprofile = "none"\nenabled = [\n "identity",\n]\n'])
@pytest.mark.parametrize("after", ["", "\n[log]\nlevel = 'INFO'\n"])
def test_only_the_section_changes(before, after):
    text = NESTED + before + after
    written = with_services(text, SECTION)
    assert tomllib.loads(written) == {**tomllib.loads(text), "services": SECTION}
    assert "# mine" in written
    assert "# kept" in written


def test_a_file_whose_section_cannot_be_told_apart_is_refused():
    with pytest.raises(Refusal, match="by hand"):
        with_services('services = { profile = "none" }\n', SECTION)
