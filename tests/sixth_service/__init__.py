"""Services of a developer's own, added by folder and line: the worked examples of docs/develop."""
