"""Which policy document is in force at an endpoint."""
