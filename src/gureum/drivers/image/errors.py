"""What an image store or an ingest can refuse, as plain exceptions that services map to their own error kinds.

It is not the list of problems of an image's content: those are sentences in an `Inspection`, never exceptions.
"""

from __future__ import annotations


class ImageStoreError(Exception):
    """Anything a store could not do; the message is for operators."""


class BlobNotFound(ImageStoreError):
    """No blob rests at this location (it was deleted, or never was one)."""

    def __init__(self, location: str) -> None:
        super().__init__(f"no image data at {location!r}")
        self.location = location


class StoreFull(ImageStoreError):
    """The store has no room for the bytes; nothing of the unfinished blob is readable."""


class ImageTooLarge(ImageStoreError):
    """The stream passed the size limit; what came before is dropped."""

    def __init__(self, max_size_bytes: int) -> None:
        super().__init__(f"the image is larger than the limit of {max_size_bytes} bytes")
        self.max_size_bytes = max_size_bytes


class ImageRefused(ImageStoreError):
    """The content is unsafe or not what it was declared to be; `reasons` are sentences for the one who sent it."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class UrlRefused(ImageStoreError):
    """The URL, or an address that it leads to, is not allowed; the text may be shown to who sent it."""
