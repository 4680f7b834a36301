"""What a log line never shows, however it is written."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.log import LineFormatter, redact

SECRET = 'hush "quoted" \\ and, spaced'


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"auth": {"password": SECRET}}),
        json.dumps({"user": {"name": "u", "original_password": SECRET, "password": SECRET}}),
        json.dumps({"server": {"adminPass": SECRET}}),
        str({"secret": "hushhush"}),
        "X-Auth-Token: hushhush",
        "GET /v3?token=hushhush&limit=1",
        "password=hushhush",
    ],
)
def test_cve_2022_0718_values_of_secret_keys_are_masked(text):
    assert "hush" not in redact(text)
    assert "***" in redact(text)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1).map(lambda text: f"hush{text}hush"))
def test_cve_2022_0718_whatever_the_secret_is_made_of(secret):
    assert "hush" not in redact(json.dumps({"password": secret, "name": "u"}))


def test_a_line_has_the_request_and_a_masked_traceback():
    try:
        raise ValueError('{"password": "hush"}')
    except ValueError as error:
        record = logging.LogRecord("gureum.x", logging.ERROR, "f", 1, "it %s", ("failed",), (type(error), error, None))
    line = LineFormatter("control").format(record)
    assert line.splitlines()[0].endswith(" ERROR control gureum.x - - - it failed")
    assert "hush" not in line
