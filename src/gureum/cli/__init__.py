"""Operator commands: `python -m gureum.cli`. Each command is a module; `__main__.py` names them and their options."""
