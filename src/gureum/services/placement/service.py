"""What roles mount of placement: the REST API over the same tables that `facade.py` works on."""

from __future__ import annotations

import re

from gureum.foundation.db.engine import Database
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api
from gureum.foundation.service import ServiceParts
from gureum.services.placement.dialect import error_body, error_body_before
from gureum.services.placement.facade import PlacementFacade
from gureum.services.placement.nouns import NOUNS

VERSIONS = Versions("placement", (1, 0), (1, 39), form=re.compile(r"([0-9]{1,9})\.([0-9]{1,9})"))


def parts(_database: Database) -> tuple[ServiceParts, PlacementFacade]:
    routes = tuple(route for noun in NOUNS for route in noun.ROUTES)
    rules = tuple(rule for noun in NOUNS for rule in noun.RULES)
    api = Api(
        "placement",
        "/placement",
        error_body,
        routes,
        versions=VERSIONS,
        elder_errors=error_body_before,
        media="application/json",
    )
    return ServiceParts("placement", apis=(api,), rules=rules), PlacementFacade()
