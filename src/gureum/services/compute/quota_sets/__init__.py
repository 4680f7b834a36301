"""Quota sets: the limits of a project, and the defaults that operators set."""
