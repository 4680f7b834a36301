"""Routes of endpoint groups and of what projects are given. Source: identity API reference, OS-EP-FILTER."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed, View
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.catalog.bodies import Interface
from gureum.services.identity.catalog.model import Endpoint
from gureum.services.identity.catalog.views import EndpointView, endpoint_view
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.endpoint_filters.model import (
    EndpointGroup,
    ProjectEndpoint,
    ProjectEndpointGroup,
    fits,
    given_to,
)
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, Description, LongName, taken
from gureum.services.identity.finding import existing_project, existing_row
from gureum.services.identity.listing import SelfLink, declared, query, self_link, whole
from gureum.services.identity.projects.model import Project
from gureum.services.identity.projects.views import ProjectView
from gureum.services.identity.projects.views import view_of as project_view
from gureum.services.identity.tokens import revocations

_READS = (
    "list_endpoint_groups",
    "get_endpoint_group",
    "list_projects_associated_with_endpoint_group",
    "list_endpoints_associated_with_endpoint_group",
    "get_endpoint_group_in_project",
    "list_endpoint_groups_for_project",
    "list_projects_for_endpoint",
    "check_endpoint_in_project",
    "list_endpoints_for_project",
)
_WRITES = (
    "create_endpoint_group",
    "update_endpoint_group",
    "delete_endpoint_group",
    "add_endpoint_group_to_project",
    "remove_endpoint_group_from_project",
    "add_endpoint_to_project",
    "remove_endpoint_from_project",
)
RULES = (
    *(Rule(f"identity:{name}", ADMIN_OR_SYSTEM_READER, scopes=CLOUD) for name in _READS),
    *(Rule(f"identity:{name}", ADMIN, scopes=CLOUD) for name in _WRITES),
)


class Filters(Struct, forbid_unknown_fields=True):
    service_id: str | UnsetType = UNSET
    region_id: str | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET

    def values(self) -> dict[str, str]:
        given = {name: getattr(self, name) for name in ("service_id", "region_id", "interface")}
        return {name: value for name, value in given.items() if value is not UNSET}


class NewGroup(Struct, forbid_unknown_fields=True):
    name: LongName
    filters: Filters
    description: Description = None


class GroupChange(Struct, forbid_unknown_fields=True):
    name: LongName | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class EndpointGroupRow(Struct, frozen=True, gc=False):
    """What lists read of an endpoint group."""

    id: str
    name: str
    description: str | None
    filters: dict[str, str]


class EndpointGroupView(View):
    id: str
    name: str
    description: str | None
    filters: dict[str, str]
    links: SelfLink


def _view(call: Call[IdentityDeps], row: EndpointGroup | EndpointGroupRow) -> EndpointGroupView:
    links = self_link(call, "OS-EP-FILTER/endpoint_groups", row.id)
    return EndpointGroupView(row.id, row.name, row.description, row.filters, links)


def _stale(call: Call[IdentityDeps], id_: str) -> None:
    """Drop all cached tokens: they are cached with their catalogs."""
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, id_)


def _group(call: Call[IdentityDeps], group_id: str) -> EndpointGroup:
    return existing_row(call.tx, EndpointGroup, "endpoint group", group_id)


# -- groups ----------------------------------------------------------------------------------------------


def _check_name(call: Call[IdentityDeps], name: str) -> None:
    if call.tx.scalar(select(EndpointGroup.id).where(EndpointGroup.name == name)):
        raise taken("endpoint_group", name)


def create(call: Call[IdentityDeps], body: NewGroup) -> EndpointGroupView:
    _check_name(call, body.name)
    row = EndpointGroup(id=ids.new_hex(), name=body.name, description=body.description, filters=body.filters.values())
    call.tx.add(row)
    return _view(call, row)


_ENDPOINT_GROUPS = declared("endpoint_groups", EndpointGroup, {"name": EndpointGroup.name}, EndpointGroupRow)


def index(call: Call[IdentityDeps]) -> Listed[EndpointGroupView]:
    return listing.index(call, _ENDPOINT_GROUPS, _view)


def show(call: Call[IdentityDeps], group_id: str) -> EndpointGroupView:
    return _view(call, _group(call, group_id))


def update(call: Call[IdentityDeps], body: GroupChange, group_id: str) -> EndpointGroupView:
    row = _group(call, group_id)
    if body.name is not UNSET and body.name != row.name:
        _check_name(call, body.name)
        row.name = body.name
    if body.description is not UNSET:
        row.description = body.description
    if body.filters is not UNSET:
        row.filters = body.filters.values()
        _stale(call, row.id)
    return _view(call, row)


def delete(call: Call[IdentityDeps], group_id: str) -> None:
    row = _group(call, group_id)
    call.tx.delete(row)
    _stale(call, row.id)


def list_group_endpoints(call: Call[IdentityDeps], group_id: str) -> Listed[Extended[EndpointView]]:
    rows = call.tx.scalars(select(Endpoint).where(fits(_group(call, group_id).filters)).order_by(Endpoint.id))
    return whole(call, [endpoint_view(call, row) for row in rows])


def list_group_projects(call: Call[IdentityDeps], group_id: str) -> Listed[Extended[ProjectView]]:
    group = _group(call, group_id)
    project_ids = select(ProjectEndpointGroup.project_id).where(ProjectEndpointGroup.group_id == group.id)
    rows = call.tx.scalars(select(Project).where(Project.id.in_(project_ids)).order_by(Project.id))
    return whole(call, [project_view(call, row) for row in rows])


# -- what projects are given -----------------------------------------------------------------------------


def _gift(call: Call[IdentityDeps], group_id: str, project_id: str) -> tuple[Project, ProjectEndpointGroup | None]:
    project, group = existing_project(call.tx, project_id), _group(call, group_id)
    return project, call.tx.get(ProjectEndpointGroup, (project.id, group.id))


def give_group(call: Call[IdentityDeps], group_id: str, project_id: str) -> None:
    if _gift(call, group_id, project_id)[1] is None:
        call.tx.add(ProjectEndpointGroup(project_id=project_id, group_id=group_id))
        _stale(call, project_id)


def show_group_gift(call: Call[IdentityDeps], group_id: str, project_id: str) -> Extended[ProjectView]:
    project, gift = _gift(call, group_id, project_id)
    if gift is None:
        raise NotFound(f"Could not find an association of endpoint group {group_id} with project {project_id}.")
    return project_view(call, project)


def take_group(call: Call[IdentityDeps], group_id: str, project_id: str) -> None:
    gift = _gift(call, group_id, project_id)[1]
    if gift is None:
        raise NotFound(f"Could not find an association of endpoint group {group_id} with project {project_id}.")
    call.tx.delete(gift)
    _stale(call, project_id)


def list_project_groups(call: Call[IdentityDeps], project_id: str) -> Listed[EndpointGroupView]:
    project = existing_project(call.tx, project_id)
    group_ids = select(ProjectEndpointGroup.group_id).where(ProjectEndpointGroup.project_id == project.id)
    rows = call.tx.scalars(select(EndpointGroup).where(EndpointGroup.id.in_(group_ids)).order_by(EndpointGroup.id))
    return whole(call, [_view(call, row) for row in rows])


def _endpoint_gift(call: Call[IdentityDeps], endpoint_id: str, project_id: str) -> ProjectEndpoint | None:
    existing_project(call.tx, project_id)
    existing_row(call.tx, Endpoint, "endpoint", endpoint_id)
    row: ProjectEndpoint | None = call.tx.get(ProjectEndpoint, (project_id, endpoint_id))
    return row


def give_endpoint(call: Call[IdentityDeps], project_id: str, endpoint_id: str) -> None:
    if _endpoint_gift(call, endpoint_id, project_id) is None:
        call.tx.add(ProjectEndpoint(project_id=project_id, endpoint_id=endpoint_id))
        _stale(call, project_id)


def check_endpoint(call: Call[IdentityDeps], project_id: str, endpoint_id: str) -> None:
    if _endpoint_gift(call, endpoint_id, project_id) is None:
        raise NotFound(f"Could not find an association of endpoint {endpoint_id} with project {project_id}.")


def take_endpoint(call: Call[IdentityDeps], project_id: str, endpoint_id: str) -> None:
    gift = _endpoint_gift(call, endpoint_id, project_id)
    if gift is None:
        raise NotFound(f"Could not find an association of endpoint {endpoint_id} with project {project_id}.")
    call.tx.delete(gift)
    _stale(call, project_id)


def list_project_endpoints(call: Call[IdentityDeps], project_id: str) -> Listed[Extended[EndpointView]]:
    existing_project(call.tx, project_id)
    rows = call.tx.scalars(select(Endpoint).where(given_to(call.tx, project_id)).order_by(Endpoint.id))
    return whole(call, [endpoint_view(call, row) for row in rows])


def list_endpoint_projects(call: Call[IdentityDeps], endpoint_id: str) -> Listed[Extended[ProjectView]]:
    existing_row(call.tx, Endpoint, "endpoint", endpoint_id)
    project_ids = select(ProjectEndpoint.project_id).where(ProjectEndpoint.endpoint_id == endpoint_id)
    rows = call.tx.scalars(select(Project).where(Project.id.in_(project_ids)).order_by(Project.id))
    return whole(call, [project_view(call, row) for row in rows])


_GROUPS = "/v3/OS-EP-FILTER/endpoint_groups"
_GROUP = _GROUPS + "/{group_id}"
_GROUP_PROJECT = _GROUP + "/projects/{project_id}"
_PROJECT = "/v3/OS-EP-FILTER/projects/{project_id}"
_ENDPOINT = _PROJECT + "/endpoints/{endpoint_id}"
ROUTES = (
    Route(
        "GET",
        _GROUPS,
        index,
        "identity:list_endpoint_groups",
        envelope="endpoint_groups",
        query=query(_ENDPOINT_GROUPS),
    ),
    Route("POST", _GROUPS, create, "identity:create_endpoint_group", 201, body=NewGroup, envelope="endpoint_group"),
    Route("GET", _GROUP, show, "identity:get_endpoint_group", envelope="endpoint_group"),
    Route("PATCH", _GROUP, update, "identity:update_endpoint_group", body=GroupChange, envelope="endpoint_group"),
    Route("DELETE", _GROUP, delete, "identity:delete_endpoint_group", 204),
    Route(
        "GET",
        _GROUP + "/endpoints",
        list_group_endpoints,
        "identity:list_endpoints_associated_with_endpoint_group",
        envelope="endpoints",
    ),
    Route(
        "GET",
        _GROUP + "/projects",
        list_group_projects,
        "identity:list_projects_associated_with_endpoint_group",
        envelope="projects",
    ),
    Route("PUT", _GROUP_PROJECT, give_group, "identity:add_endpoint_group_to_project", 204),
    Route("GET", _GROUP_PROJECT, show_group_gift, "identity:get_endpoint_group_in_project", envelope="project"),
    Route("DELETE", _GROUP_PROJECT, take_group, "identity:remove_endpoint_group_from_project", 204),
    Route(
        "GET",
        _PROJECT + "/endpoint_groups",
        list_project_groups,
        "identity:list_endpoint_groups_for_project",
        envelope="endpoint_groups",
    ),
    Route(
        "GET",
        _PROJECT + "/endpoints",
        list_project_endpoints,
        "identity:list_endpoints_for_project",
        envelope="endpoints",
    ),
    Route("PUT", _ENDPOINT, give_endpoint, "identity:add_endpoint_to_project", 204),
    Route("GET", _ENDPOINT, check_endpoint, "identity:check_endpoint_in_project", 204),
    Route("DELETE", _ENDPOINT, take_endpoint, "identity:remove_endpoint_from_project", 204),
    Route(
        "GET",
        "/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects",
        list_endpoint_projects,
        "identity:list_projects_for_endpoint",
        envelope="projects",
    ),
)
