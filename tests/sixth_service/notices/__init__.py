"""Notices: what the operator tells projects, such as a maintenance window."""
