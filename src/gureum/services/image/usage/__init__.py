"""Quotas of a project's images, and what of them is used."""
