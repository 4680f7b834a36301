"""Tokens: made, read, cached and revoked."""
