"""Trusts: one user lends another some of its roles on a project."""
