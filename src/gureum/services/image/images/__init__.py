"""Images: rows from queued to deleted, their properties, and what lists show of them."""
