"""Numbered revisions of the tables. They expand first and contract a release later: N and N+1 run side by side."""
