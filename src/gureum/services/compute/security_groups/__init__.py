"""Security groups as the compute API has them until 2.35."""
