"""Keypairs: public keys by name, owned by a user, handed to servers at boot."""
