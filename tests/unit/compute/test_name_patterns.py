"""Names by regular expression: plain ones are told apart, others agree with Python's, and none takes long."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gureum.services.compute.servers.patterns import MAX_PATTERN, BadPattern, literal, matching

SOURCES = Path(__file__).resolve().parents[3] / "src"
ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "[a-c]", "\\d", "\\w", "\\.", "-", "1"])
SIGNS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "{0}"])
PIECES = st.tuples(ATOMS, SIGNS).map("".join)
SEQUENCES = st.lists(PIECES, max_size=5).map("".join)
PATTERNS = st.tuples(st.sampled_from(["", "^"]), SEQUENCES, st.sampled_from(["", "$"])).map("".join)


@settings(max_examples=100)
@given(PATTERNS, st.lists(st.text("ab1-.c", max_size=8), max_size=4))
def test_it_finds_what_pythons_own_finds(pattern, names):
    assert matching(pattern, names) == [name for name in names if re.search(pattern, name, re.ASCII)]


@given(st.text("ab^$.\\-", max_size=6), st.text("ab.-", max_size=6))
def test_a_plain_pattern_means_what_the_general_one_does(pattern, text):
    plain = literal(pattern)
    if plain is None:
        return
    at_start, wanted, at_end = plain
    found = text == wanted if at_start and at_end else wanted in text
    if at_start != at_end:
        found = text.startswith(wanted) if at_start else text.endswith(wanted)
    assert matching(pattern, [text]) == [text] * found


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[a", "[b-a]", "*", "a|*", "a{3,1}", "\\", "\\1", "(?=a)", "(.{99}){99}", "(" * 2000, "\udc80."],
)
def test_what_is_no_pattern_is_said(pattern):
    with pytest.raises(BadPattern, match=r"\w\w"):
        matching(pattern, [])


def test_an_expression_that_would_take_much_memory_is_refused():
    with pytest.raises(BadPattern, match="too large"):
        matching(r"[\pL\pN]{999}", ["a"])


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|a)*$", ".*.*.*.*.*.*x", "(a?){60}a{60}c", "(.*)*x", "(y.{0,200}a){2}z"]
)
def test_no_pattern_takes_long(pattern):
    assert len(pattern) <= MAX_PATTERN
    started = time.process_time()
    assert matching(pattern, ["ya" * 127 + "b"] * 1000) == []
    assert time.process_time() - started < 2


def test_large_expressions_meet_few_names_only():
    pattern = "(x.{0,200}a){2}z"
    assert matching(pattern, ["a"] * 1000) == []
    with pytest.raises(BadPattern, match="2000 names"):
        matching(pattern, ["a"] * 2000)


def test_a_cloud_that_needs_no_expressions_does_not_load_the_engine():
    said = "import gureum.services.compute.service, sys; print('re2' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCES)}
    )
    assert done.stdout == "False\n"
