"""Which endpoints a project's catalog shows."""
