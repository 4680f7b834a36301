"""The image store that is a pool of a Ceph cluster. Read `store.py`."""
