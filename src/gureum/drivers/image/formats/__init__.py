"""Disk image formats, one module for a family: how to recognise it and what in its header is unsafe.

Nothing here reads files or keeps state: each module is functions over `Regions`.
Read next: `regions.py`, then `verdict.py`, which asks every family.
"""
