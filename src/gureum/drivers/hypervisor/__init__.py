"""Machines that run guests: the interface, a fake in memory, and libvirt."""
