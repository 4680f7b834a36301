"""What runs on hosts. Agents never import services and have no database."""
