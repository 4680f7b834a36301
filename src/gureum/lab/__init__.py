"""Hosts as namespaces on one machine, with their own Open vSwitch, OVN controller and libvirt.

`plan.py` decides, purely, what a lab is made of; `supervisor.py` makes it so and keeps it so; `stopping.py` ends it.
Everything here imports the standard library only: the supervisor stays small, and the launcher can use it before
anything is installed.
"""
