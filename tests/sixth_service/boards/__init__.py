"""Boards: screens on hosts, driven by an agent of a kind of their own. The worked example of "agents of a new kind"."""
