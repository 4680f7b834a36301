"""Every service of this code, one line each, and the profiles in which they are sold.

Adding a service is its folder and its line. What a cloud carries is the profile and the services that `[services]` of
its configuration names, with all that these need. Nothing is imported here: read next `assembly.py`.
"""

from __future__ import annotations

SERVICES = (
    "gureum.services.identity",
    "gureum.services.placement",
    "gureum.services.image",
    "gureum.services.network",
    "gureum.services.compute",
)
"""Packages; the last part of each is the service's name."""

PROFILES: dict[str, tuple[str, ...]] = {
    "none": (),
    "core": ("identity", "placement", "image", "network", "compute"),
    "all": tuple(package.rpartition(".")[2] for package in SERVICES),
}
"""Profile -> services. `none` is for clouds that name each."""
