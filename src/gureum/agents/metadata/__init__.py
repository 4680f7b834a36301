"""What guests may ask about themselves, served by the host that runs them."""
