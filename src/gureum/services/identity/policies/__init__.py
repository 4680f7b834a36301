"""Policy documents that services may keep here."""
