"""Drivers of existing engines: one package per kind, each with an interface, a fake and one folder per engine."""
