"""Members: the projects that a shared image is shared with."""
