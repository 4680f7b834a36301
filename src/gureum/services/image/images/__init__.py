"""Images: rows from queued to active, data streamed into and out of the store."""
