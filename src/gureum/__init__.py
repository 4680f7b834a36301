"""Gureum: a cloud operating system with the OpenStack REST APIs outside and its own design inside."""

__version__ = "0.1.0"
