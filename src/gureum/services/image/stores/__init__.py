"""Stores: where images' data can be, and taking one copy away."""
