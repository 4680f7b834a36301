"""Services: the agents of hosts, enabled, disabled, or forced down by operators."""
