"""The small guest image `mini`, built from Debian packages without mounting anything.

A test guest for the cloud: it boots in seconds under emulation, takes its identity from a config drive or the metadata
service, and lets its user in by SSH key. Not a distribution: no package tool inside. Read next: `build.py`.
"""

from __future__ import annotations

from gureum.lab.guest_image.build import build_guest_image
from gureum.lab.guest_image.failure import GuestImageError
from gureum.lab.guest_image.packages import BUILD_PACKAGES

GUEST_USER = "gureum"
"""The login user that receives the instance's public keys."""

__all__ = ["BUILD_PACKAGES", "GUEST_USER", "GuestImageError", "build_guest_image"]
