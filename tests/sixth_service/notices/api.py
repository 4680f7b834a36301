"""Routes of notices: the administrator writes them, each project reads its own and those for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import func, or_, select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
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


class NewNotice(Struct, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=255)]
    text: Annotated[str, Meta(max_length=10_000)] = ""
    project_id: Annotated[str, Meta(max_length=36)] | None = None


class Create(Struct, forbid_unknown_fields=True):
    notice: NewNotice


class NoticeView(Struct):
    id: str
    title: str
    text: str
    project_id: str | None
    created_at: str


class Shown(Struct):
    notice: NoticeView


class Listed(Struct):
    notices: list[NoticeView]


def view_of(row: Notice) -> NoticeView:
    return NoticeView(row.id, row.title, row.text, row.project_id, clock.iso(row.created_at))


def index(call: Call[NoticesDeps]) -> Listed:
    own = or_(Notice.project_id == call.caller.project_id, Notice.project_id.is_(None))
    rows = call.tx.scalars(select(Notice).where(own).order_by(Notice.created_at, Notice.id))
    return Listed([view_of(row) for row in rows])


def create(call: Call[NoticesDeps], body: Create) -> Shown:
    new, tx = body.notice, call.tx
    if new.project_id is not None and call.deps.identity.project(tx, new.project_id) is None:
        raise BadRequest(f"Project {new.project_id} could not be found.")
    if new.project_id is not None:
        call.deps.quotas.require(tx, new.project_id, {"notices": 1})
    if _count(tx) >= call.deps.config.most:
        raise Forbidden(f"There are {call.deps.config.most} notices already; delete some first.")
    row = Notice(id=ids.new_uuid(), title=new.title, text=new.text, project_id=new.project_id)
    tx.add(row)
    tx.flush()
    return Shown(view_of(row))


def delete(call: Call[NoticesDeps], notice_id: str) -> None:
    row = call.tx.get(Notice, notice_id)
    if row is None:
        raise NotFound(f"Notice {notice_id} could not be found.")
    call.tx.delete(row)


def _count(tx: Tx) -> int:
    return tx.scalar(select(func.count()).select_from(Notice)) or 0


ROUTES = (
    Route("GET", "/v1/notices", index, "notices:list"),
    Route("POST", "/v1/notices", create, "notices:create", 201, body=Create),
    Route("DELETE", "/v1/notices/{notice_id}", delete, "notices:delete", 204),
)
