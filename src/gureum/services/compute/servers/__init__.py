"""Servers: from the POST that writes a row and its task to the release that removes its last claim."""
