"""The tables of revision 0001, one module for each service."""
