"""Which form of an error a client asks for, and the page that the image API gives to those who do not ask for JSON."""

from __future__ import annotations

import pytest

from gureum.foundation.errors import NotFound
from gureum.foundation.http.accept import prefers_html
from gureum.services.image.dialect import error_page


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", True),
        ("text/html", True),
        ("text/*", True),
        ("application/json", False),
        ("application/json, */*", True),
        ("application/json, */*;q=0.8", False),
        ("application/json;q=0.5, text/html;q=0.4", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0, */*", False),
        ("*/*, application/json;q=0", True),
        ("image/png", False),
        ("text/html;q=nonsense", False),
        ("text/html;q=nan", False),
        (",;,q=,;;", False),
        ("text/plain", False),
    ],
)
def test_html_is_preferred_where_it_weighs_as_much_as_json(accept, html):
    assert prefers_html(accept) is html


def test_page_shows_status_and_escaped_message():
    page = error_page(NotFound("No image <script> & 'x'"))
    assert "<title>404 Not Found</title>" in page
    assert "\nNo image &lt;script&gt; &amp; 'x'\n" in page
