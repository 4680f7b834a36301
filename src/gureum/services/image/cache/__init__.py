"""The image cache: copies of images' data on the machine of an API process, for stores that are far."""
