"""Inventories: how much of each class a provider offers."""
