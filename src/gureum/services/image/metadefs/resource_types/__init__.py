"""Resource types, and which namespaces are for which."""
