"""Namespaces: named sets of definitions."""
