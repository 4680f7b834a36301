"""Events: what happened, told by the service that made it true, in its own transaction. Read next: `event.py`."""
