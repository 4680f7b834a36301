"""What deleted projects left behind: counted on demand, cleaned when an operator asks. Read next: `projects.py`."""
