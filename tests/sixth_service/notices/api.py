"""Routes of notices: the administrator writes them, each project reads its own and those for all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from sqlalchemy import ColumnElement, func, or_, select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, links, of_project
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.foundation.quota import Quotas, Rows
from gureum.services.identity.facade import IdentityFacade
from tests.sixth_service.notices.config import NoticesConfig
from tests.sixth_service.notices.model import Notice

RULES = (
    Rule("notices:list", "rule:any_authenticated", "List one's notices", unbounded="reads the token's project"),
    Rule("notices:create", "rule:admin", "Tell a project, or all of them"),
    Rule("notices:delete", "rule:admin", "Take a notice back"),
)


QUOTAS = Quotas("notices", {"notices": 100}, {"notices": Rows(Notice.project_id).count()})
"""What one project may be told; for all there is no limit but the option `most`."""


@dataclass(frozen=True)
class NoticesDeps:
    config: NoticesConfig
    identity: IdentityFacade
    quotas: Quotas


Level = Literal["information", "warning"]


class NewNotice(Struct, forbid_unknown_fields=True):
    """Microversion 1.1 brought the level."""

    title: Annotated[str, Meta(min_length=1, max_length=255)]
    text: Annotated[str, Meta(max_length=10_000)] = ""
    project_id: Annotated[str, Meta(max_length=36)] | None = None
    level: Annotated[Level, Since(1, 1)] = "information"


class NoticeRow(Struct, frozen=True, gc=False):
    """What a list reads of a notice."""

    id: str
    title: str
    text: str
    project_id: str | None
    level: str
    created_at: datetime


class NoticeView(View):
    id: str
    title: str
    text: str
    project_id: str | None
    level: Annotated[str, Since(1, 1)]
    created_at: str


def view_of(row: NoticeRow | Notice) -> NoticeView:
    return NoticeView(row.id, row.title, row.text, row.project_id, row.level, clock.iso(row.created_at))


def seen_by(project_id: Any) -> ColumnElement[bool]:
    """A project's own notices and those for all."""
    return or_(Notice.project_id == project_id, Notice.project_id.is_(None))


NOTICES = Collection(
    name="notices",
    model=Notice,
    reach=of_project(seen_by),
    filters={"project_id": Notice.project_id},
    sort_keys={"created_at": Notice.created_at},
    order=(("created_at", False),),
    links=links.next_in("notices_links"),
    record=NoticeRow,
)


def index(call: Call[NoticesDeps]) -> Listed[NoticeView]:
    page = NOTICES.page(call)
    return NOTICES.listed(call, page, [view_of(row) for row in page.rows])


def create(call: Call[NoticesDeps], body: NewNotice) -> NoticeView:
    tx = call.tx
    if body.project_id is not None and call.deps.identity.project(tx, body.project_id) is None:
        raise BadRequest(f"Project {body.project_id} could not be found.")
    if body.project_id is not None:
        call.deps.quotas.require(tx, body.project_id, {"notices": 1})
    if _count(tx) >= call.deps.config.most:
        raise Forbidden(f"There are {call.deps.config.most} notices already; delete some first.")
    row = Notice(id=ids.new_uuid(), title=body.title, text=body.text, project_id=body.project_id, level=body.level)
    tx.add(row)
    tx.flush()
    return view_of(row)


def delete(call: Call[NoticesDeps], notice_id: str) -> None:
    row = call.tx.get(Notice, notice_id)
    if row is None:
        raise NotFound(f"Notice {notice_id} could not be found.")
    call.tx.delete(row)


def _count(tx: Tx) -> int:
    return tx.scalar(select(func.count()).select_from(Notice)) or 0


ROUTES = (
    Route("GET", "/v1/notices", index, "notices:list", envelope="notices", query=NOTICES.parameters(*PARAMETERS)),
    Route("POST", "/v1/notices", create, "notices:create", 201, body=NewNotice, envelope="notice"),
    Route("DELETE", "/v1/notices/{notice_id}", delete, "notices:delete", 204),
)
