"""Tags: short labels on an image, one at a time."""
