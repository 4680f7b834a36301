"""Composition roots: the only place, besides tests, where concrete drivers are chosen."""
