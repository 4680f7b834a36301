"""Access rules against paths: one segment, any number, and nothing beside them."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.caller import AccessRule
from gureum.foundation.http.access import permits


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


def test_a_hostile_pattern_takes_no_time():
    started = time.thread_time()
    assert not allowed("/compute" + "/a" * 1000, "/" + "**/a" * 31 + "b")
    assert not allowed("/compute/" + "a" * 2000, "/" + "*a" * 60 + "b")
    assert time.thread_time() - started < 0.5
