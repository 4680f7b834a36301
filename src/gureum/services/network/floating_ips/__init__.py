"""Floating IPs: external addresses that follow a port's fixed address."""
