"""Subnets: an address range of a network, with its pools, gateway and what DHCP tells."""
