"""Metadata definitions: what properties of images, flavors and volumes mean, in namespaces. A folder for each noun."""
