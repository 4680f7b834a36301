"""Imports: data that is staged, fetched or copied, judged, converted and put into stores by a durable task."""
