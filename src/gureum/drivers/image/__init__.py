"""Images on this side of the API: where their bytes rest (stores) and what the bytes are (the format inspector).

It is not the image service: it knows no project, no database and no HTTP, and it never starts a tool.
Read next: `interface.py` for stores, `ingest.py` for an upload's way in, `inspector.py` for formats.
"""
