"""Tags: labels that a namespace proposes."""
