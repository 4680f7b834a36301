"""Networks: layer 2 segments, tenants' own (overlay) or joined to a physical network."""
