"""Parts of the API that the reference withdrew, or that this cloud does not offer."""
