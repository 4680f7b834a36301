"""Unified limits: how much of what each project may use, in one place for all services."""
