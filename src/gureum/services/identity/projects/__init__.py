"""Projects: what owns every resource; a tree below a domain."""
