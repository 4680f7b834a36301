"""What agents of every kind share: here, how one is called. Read next: `calls.py`."""
