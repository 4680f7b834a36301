"""Domains: the top of projects, users and groups."""
