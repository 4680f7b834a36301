"""Reshaper: inventories and allocations moved between providers at once."""
