"""Server groups: which servers are to share a host, and which are not."""
