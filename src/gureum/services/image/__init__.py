"""The image API (Glance v2): images, their data in a store, who may see them."""
