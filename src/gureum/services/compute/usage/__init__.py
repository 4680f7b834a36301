"""Usage: what the servers of projects consumed over time."""
