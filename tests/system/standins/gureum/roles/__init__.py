"""Stand-ins for the composition roots."""
