"""Resource classes: the kinds of what is counted."""
