"""Availability zones: the zones that hosts are in."""
