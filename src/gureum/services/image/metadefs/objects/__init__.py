"""Objects: properties that belong together."""
