"""The NUMA topology of a server: none, as guests are not divided into NUMA nodes here.

The reference's answer for such a server has no nodes and no page size.
Source: compute API reference, "Servers Topology (servers, topology)".
"""

from __future__ import annotations

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import seen

_SHOW = "compute:server:topology:index"
RULES = (Rule(_SHOW, "rule:project_reader_or_admin", "Show a server's NUMA topology"),)


class Topology(View):
    nodes: tuple[()] = ()
    pagesize_kb: None = None


def show(call: Call[ComputeDeps], server_id: str) -> Topology:
    seen.find(call.tx, call.caller, server_id)
    return Topology()


ROUTES = (Route("GET", "/v2.1/servers/{server_id}/topology", show, _SHOW, since=(2, 78)),)
