"""Routers: distributed, with legs in tenants' subnets and a gateway in an external network."""
