"""Servers' ports: what compute asks of the network, from planning a server's interfaces to letting them go."""
