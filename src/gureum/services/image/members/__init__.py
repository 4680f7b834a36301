"""Members: projects that a shared image is shared with."""
