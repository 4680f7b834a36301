"""Hypervisors: hosts as operators see them, with what they offer and what is taken."""
