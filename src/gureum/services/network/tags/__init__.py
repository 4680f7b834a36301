"""Tags: short texts on any resource with standard attributes."""
