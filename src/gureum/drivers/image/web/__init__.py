"""Image data from outside places over HTTP: the guard that decides where, and the fetcher that goes there."""
