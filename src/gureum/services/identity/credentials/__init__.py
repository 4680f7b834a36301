"""Credentials of users for other ways to sign in, such as EC2 keys."""
