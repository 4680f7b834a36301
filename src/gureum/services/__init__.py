"""The services, one package per API; a service sees its siblings only through their facade."""
