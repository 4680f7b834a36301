"""The virtual network: the interface, a fake in memory, and OVN."""
