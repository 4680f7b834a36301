"""Limits: what a project may still use."""
