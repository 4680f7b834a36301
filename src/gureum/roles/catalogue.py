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

CORE = ("identity", "placement", "image", "network", "compute")
ALL = tuple(package.rpartition(".")[2] for package in SERVICES)
PROFILES: dict[str, tuple[str, ...]] = {
    "none": (),
    "core": CORE,
    "web": CORE,
    "commerce": CORE,
    "big-data": CORE,
    "public-cloud": ALL,
    "all": ALL,
}
"""Profile -> services. `none` is for clouds that name each.

`web`, `commerce` and `big-data` are the packages that integrators sell. A service that belongs to one (load balancers,
names, databases, shares) joins its line when it is there, so that a cloud with this profile gets it by an upgrade.
"""
