"""Access rules against paths: one segment, any number, and nothing beside them."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.caller import AccessRule
from gureum.foundation.http.access import is_quick, permits


def allowed(path, pattern, method="GET", service="compute"):
    return permits([AccessRule("compute", "GET", pattern)], service, method, path, "/compute")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v2.1/servers", "/compute/v2.1/servers", True),
        ("/compute/v2.1/servers", "/compute/v2.1/servers", True),
        ("/v2.1/servers/", "/compute/v2.1/servers", True),
        ("/v2.1/servers", "/compute/v2.1/servers/", True),
        ("/v2.1/servers", "/compute/v2.1//servers", True),
        ("/v2.1/servers", "/compute/v2.1/servers/a", False),
        ("/v2.1/servers", "/compute/v2x1/servers", False),
        ("/v2.1/servers/{id}", "/compute/v2.1/servers/a", True),
        ("/v2.1/servers/{id}", "/compute/v2.1/servers/a/ips", False),
        ("/v2.1/servers/{id}", "/compute/v2.1/servers", False),
        ("/v2.1/servers/*/ips", "/compute/v2.1/servers/a/ips", True),
        ("/v2.1/servers/*/ips", "/compute/v2.1/servers/a/b/ips", False),
        ("/v2.1/servers/**", "/compute/v2.1/servers/a/ips/b", True),
        ("/v2.1/servers/**", "/compute/v2.1/flavors", False),
        ("**", "/compute/anything/at/all", True),
        ("/v2.1/serv*", "/compute/v2.1/servers", True),
        ("/v2.1/(servers|flavors)", "/compute/v2.1/flavors", False),
        ("/v2.1/servers/{open", "/compute/v2.1/servers/{open", True),
    ],
)
def test_paths(pattern, path, fits):
    assert allowed(path, pattern) is fits


def test_method_and_service_are_exact():
    assert not allowed("/compute/v2.1/servers", "**", method="HEAD")
    assert not allowed("/compute/v2.1/servers", "**", service="image")
    assert not permits([], "compute", "GET", "/compute/v2.1/servers", "/compute")


@given(st.text("/{}*ab.\\([", max_size=30), st.text("/ab.{}", max_size=30))
def test_a_pattern_without_wildcards_fits_itself_alone(pattern, path):
    found = allowed("/compute/" + path, "/" + pattern)
    if not re.search(r"[*{]", pattern):
        whole = "/" + "/".join(part for part in path.split("/") if part)
        assert found == (("/" + pattern).rstrip("/") in (whole.rstrip("/"), "/compute" + whole.rstrip("/")))


@given(st.text("/*ab{}", max_size=12), st.text("/ab", max_size=12))
def test_it_is_what_a_regular_expression_says(pattern, path):
    parts = re.findall(r"\{[^}]*\}|\*\*|.", ("/" + pattern).rstrip("/") or "/")
    words = {"**": ".*", "*": "[^/]+"}
    text = "".join(
        words.get(p) or ("[^/]+" if p[0] == "{" and p[-1] == "}" and len(p) > 1 else re.escape(p)) for p in parts
    )
    whole = "/" + "/".join(part for part in path.split("/") if part)
    assert allowed("/compute" + whole, "/" + pattern) == any(
        re.fullmatch(text, form) is not None for form in (("/compute" + whole).rstrip("/"), whole)
    )


def test_several_rules_are_matched_at_once():
    rules = [AccessRule("compute", "GET", path) for path in ("/a/**", "/b/*", "/c", "**/d*d")]
    for path, permitted in (
        ("/a/x/y", True),
        ("/b/x", True),
        ("/b/x/y", False),
        ("/c", True),
        ("/compute/c", True),
        ("/cc", False),
        ("/x/dxd", True),
        ("/x/dd", False),
        ("/compute", False),
    ):
        assert permits(rules, "compute", "GET", path, "/compute") is permitted, path


@pytest.mark.parametrize("pattern", ["**a" + "*a" * 62, "/" + "**/a" * 31, "/" + "*a" * 63, "/" + "{}**" * 31 + "b"])
def test_hostile_rules_take_no_time(pattern):
    """64 of the longest rules and the longest path took 626 ms."""
    rules = [AccessRule("compute", "GET", f"{pattern[:125]}{n:03}") for n in range(64)]
    paths = ["/compute/" + "a" * 2039, "/compute" + "/a" * 1020]
    began = time.thread_time()
    for path in paths:
        assert not permits(rules, "compute", "GET", path, "/compute")
    assert time.thread_time() - began < 0.1 * len(paths)


def test_what_takes_longer_than_a_millisecond_is_left_to_a_thread():
    rules = [AccessRule("compute", "GET", f"{'**a' + '*a' * 62}"[:125] + f"{n:03}") for n in range(8)]
    assert is_quick(rules, "/a" * 256)
    assert not is_quick(rules, "/a" * 257)
    assert not is_quick([*rules, AccessRule("image", "GET", "/")], "/")
    began = time.thread_time()
    for _ in range(10):
        permits(rules, "compute", "GET", "/compute" + "/a" * 252, "/compute")
    assert time.thread_time() - began < 0.05
