"""The image API (Glance v2): images, their data in a store, and who may see and use them. Read README.md."""
