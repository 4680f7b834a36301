"""What every service stands on. The foundation knows no service."""
