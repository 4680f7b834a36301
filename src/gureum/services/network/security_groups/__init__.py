"""Security groups and their rules: stateful allowances that ports share."""
