"""The definitions that every cloud starts with."""
