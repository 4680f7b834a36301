"""Identity (Keystone v3): who there is, what they may do where, tokens, and the catalog."""
