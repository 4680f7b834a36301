"""EC2 access keys, and tokens for what they signed."""
