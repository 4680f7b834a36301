"""Allocations: what consumers hold of providers."""
