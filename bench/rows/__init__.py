"""The rows of the table: each module has a function `rows(bench)` that yields `Figure`s as they are measured."""
