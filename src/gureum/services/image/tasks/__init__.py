"""Tasks as clients see them: the record of an import, its progress and its end."""
