"""Application credentials: a user's limited grant to a program."""
