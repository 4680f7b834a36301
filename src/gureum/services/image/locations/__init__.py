"""Locations: the places that hold an image's data, each a name in a store."""
