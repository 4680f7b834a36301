"""Aggregates: groups of hosts; one with a zone makes its hosts a zone."""
