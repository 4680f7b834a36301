"""Flavors: the sizes that servers come in, public or granted to projects, with extra specs."""
