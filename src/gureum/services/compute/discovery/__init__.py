"""Discovery: the version documents and the list of extensions."""
