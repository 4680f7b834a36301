"""Hosts and the agents on them, of every kind: how they are called, how they report, and which of them are silent.

Nothing here names a kind: it is an `AgentKind` that its protocol declares. Read next: `kind.py`, `agents.py`.
"""
