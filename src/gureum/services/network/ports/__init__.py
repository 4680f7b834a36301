"""Ports: where something joins a network, with its MAC, addresses, security groups and host."""
