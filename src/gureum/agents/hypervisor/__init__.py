"""The agent of a host that runs servers: its protocol, the real agent, and the simulated one."""
