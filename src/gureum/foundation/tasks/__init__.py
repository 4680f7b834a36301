"""Durable tasks: a resource's life as one row and short named steps; signals, leases, deadlines, reconcilers.

Services declare a `Lifecycle` (`lifecycle.py`) and use `Tasks` (`store.py`) inside their transactions; workers
run `TaskEngine` (`engine.py`). The engine knows no service.
"""
