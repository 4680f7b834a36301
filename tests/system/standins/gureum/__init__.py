"""Stand-ins for Gureum's own processes, for the lab's tests: as quick to start as a process can be."""
