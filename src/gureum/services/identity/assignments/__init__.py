"""Who has which role on which project, domain or the system."""
