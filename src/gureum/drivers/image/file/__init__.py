"""The image store that is a folder. Read `store.py`."""
