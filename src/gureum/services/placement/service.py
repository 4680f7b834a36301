"""The manifest of placement: the REST API over the same tables that `facade.py` works on."""

from __future__ import annotations

import re

from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api
from gureum.foundation.service import CatalogEntry, Mounted, Room, Service
from gureum.services.identity.facade import IdentityFacade
from gureum.services.placement.dialect import error_body, error_body_before
from gureum.services.placement.facade import PlacementFacade
from gureum.services.placement.nouns import NOUNS

VERSIONS = Versions("placement", (1, 0), (1, 39), form=re.compile(r"([0-9]{1,9})\.([0-9]{1,9})"))


def build(_room: Room) -> Mounted:
    api = Api(
        "placement",
        "/placement",
        error_body,
        tuple(route for noun in NOUNS for route in noun.ROUTES),
        versions=VERSIONS,
        elder_errors=error_body_before,
        media="application/json",
    )
    return Mounted(PlacementFacade(), apis=(api,))


SERVICE = Service(
    "placement",
    build,
    rules=tuple(rule for noun in NOUNS for rule in noun.RULES),
    catalog=CatalogEntry("placement", "placement", "/placement"),
    offers=PlacementFacade,
    needs=(IdentityFacade,),  # who calls its API
)
