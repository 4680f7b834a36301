"""Quotas of the network API."""
