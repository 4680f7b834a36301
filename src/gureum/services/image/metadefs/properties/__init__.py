"""Properties: one name with its type and meaning."""
