"""Lists of servers' migrations, which are empty: no server moves from host to host here.

Each request is judged as if there were some. What would start a migration stands in `not_offered.py`.
Source: compute API reference, "Migrations (os-migrations)", "Server migrations (servers, migrations)".
"""

from __future__ import annotations

from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import check_paging, only_parameters
from gureum.services.compute.servers import seen

_ALL = "os_compute_api:os-migrations:index"
_LIST = "os_compute_api:servers:migrations:index"
RULES = (
    Rule(_ALL, "rule:admin", "List migrations"),
    Rule(_LIST, "rule:admin", "List a server's live migrations"),
)
_FILTERS = ("hidden", "host", "instance_uuid", "migration_type", "source_compute", "status")
_PAGE = ("limit", "marker", "changes-since")
_SINCE = {(2, 66): ("changes-before",), (2, 80): ("user_id", "project_id")}
_QUERY = (*_FILTERS, *_PAGE, *(name for names in _SINCE.values() for name in names))


class Migration(View):
    """An entry of the list, which is always empty."""


def index(call: Call[ComputeDeps]) -> list[Migration]:
    if call.at_least(2, 59):
        later = [name for version, names in _SINCE.items() if call.at_least(*version) for name in names]
        only_parameters(call, frozenset({*_FILTERS, *_PAGE, *later}))
        check_paging(call)
        _check_moments(call)
        if (marker := call.param("marker")) is not None:
            raise BadRequest(f"marker [{marker[:64]}] not found")
    return []


def _check_moments(call: Call[ComputeDeps]) -> None:
    since, before = call.param("changes-since"), call.param("changes-before")
    begun = None if since is None else filters.moment("changes-since", since)
    ended = None if before is None else filters.moment("changes-before", before)
    if begun is not None and ended is not None and begun > ended:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")


def of_server(call: Call[ComputeDeps], server_id: str) -> list[Migration]:
    seen.find(call.tx, call.caller, server_id)
    return []


ROUTES = (
    Route("GET", "/v2.1/os-migrations", index, _ALL, envelope="migrations", query=_QUERY),
    Route("GET", "/v2.1/servers/{server_id}/migrations", of_server, _LIST, envelope="migrations", since=(2, 23)),
)
