"""Hosts: where agents run; what they offer, when they were last heard, whether servers may be placed there."""
