"""A service of a developer's own, added by its folder and one line: the worked example of docs/develop."""
