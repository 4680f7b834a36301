"""Placement: what hosts offer, what consumers hold of it, and where a request would fit (API 1.0 to 1.39)."""
