"""Traits: qualities of providers, by name."""
