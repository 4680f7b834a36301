"""What a domain sets for itself of the identity service's configuration."""
