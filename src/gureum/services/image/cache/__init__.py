"""The image cache: copies of images' data near the API, for stores that are far."""
