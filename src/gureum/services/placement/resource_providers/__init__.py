"""Resource providers: what offers resources, in trees."""
