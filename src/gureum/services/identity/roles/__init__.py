"""Roles and which role implies which."""
