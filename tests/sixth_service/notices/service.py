"""The manifest of notices."""

from __future__ import annotations

from gureum.foundation.http.collections import links
from gureum.foundation.http.dialects import plain
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api
from gureum.foundation.service import CatalogEntry, Mounted, Room, Service
from gureum.services.identity.facade import IdentityFacade
from tests.sixth_service.notices.api import QUOTAS, ROUTES, RULES, NoticesDeps
from tests.sixth_service.notices.config import NoticesConfig
from tests.sixth_service.notices.facade import NoticesFacade
from tests.sixth_service.notices.leftovers import RESOURCES

VERSIONS = Versions("notices", (1, 0), (1, 1))


def build(room: Room) -> Mounted:
    identity = room.facade(IdentityFacade)
    deps = NoticesDeps(room.config(NoticesConfig), identity, QUOTAS.following(identity.unified))
    api = Api("notices", "/notices", plain, ROUTES, deps, versions=VERSIONS, beside_lists=links.NAMED_LINKS)
    return Mounted(NoticesFacade(), apis=(api,), resources=RESOURCES)


SERVICE = Service(
    "notices",
    build,
    config=(NoticesConfig,),
    rules=RULES,
    catalog=CatalogEntry("notices", "notices", "/notices"),
    offers=NoticesFacade,
    needs=(IdentityFacade,),
)
