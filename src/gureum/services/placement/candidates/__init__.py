"""Allocation candidates: where a request would fit."""
