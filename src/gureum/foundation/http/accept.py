"""What a client's `Accept` header takes. Source: RFC 9110, section 12.5.1."""

from __future__ import annotations

_LONGEST_ACCEPT = 1024


def prefers_html(accept: str) -> bool:
    """Whether an `Accept` header ranks HTML as high as JSON. Without one, JSON it is.

    Clients that read JSON errors ask for JSON by name; those that take anything expect the page.
    """
    ranges = [_media_range(text) for text in accept[:_LONGEST_ACCEPT].split(",") if text.strip()]
    html_weight = _weight(ranges, ("text/html", "text/*", "*/*"))
    return html_weight > 0 and html_weight >= _weight(ranges, ("application/json", "application/*", "*/*"))


def takes(accept: str, media: str) -> bool:
    """Whether an `Accept` header takes answers of the type `media`; without one, all do."""
    ranges = [_media_range(text) for text in accept[:_LONGEST_ACCEPT].split(",") if text.strip()]
    kinds = (media, media.partition("/")[0] + "/*", "*/*")
    return not ranges or _weight(ranges, kinds) > 0


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
    try:
        return name, min(max(float(weights[0]), 0.0), 1.0) if weights else 1.0
    except ValueError:
        return name, 0.0


def _weight(ranges: list[tuple[str, float]], names: tuple[str, ...]) -> float:
    """The weight that the most specific of `names` in the header gives; 0 when none is there."""
    for name in names:
        weights = [weight for range_name, weight in ranges if range_name == name]
        if weights:
            return max(weights)
    return 0.0
