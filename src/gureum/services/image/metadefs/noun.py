"""All of metadata definitions as one noun of the image service: routes and rules of its folders."""

from __future__ import annotations

from gureum.services.image.metadefs import schemas
from gureum.services.image.metadefs.namespaces import api as namespaces
from gureum.services.image.metadefs.objects import api as objects
from gureum.services.image.metadefs.properties import api as properties
from gureum.services.image.metadefs.resource_types import api as resource_types
from gureum.services.image.metadefs.tags import api as tags

_NOUNS = (schemas, namespaces, objects, properties, tags, resource_types)
ROUTES = tuple(route for noun in _NOUNS for route in noun.ROUTES)
RULES = tuple(rule for noun in _NOUNS for rule in noun.RULES)
