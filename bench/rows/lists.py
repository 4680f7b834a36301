"""Lists of projects, users and images, and what 100,000 users do to a page of them and to a login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench import limits
from bench.client import Client
from bench.cloud import PASSWORD, Cloud, Load, on_fresh_clouds, password_body
from bench.figures import Figure
from bench.rows.multiply import database_of, multiply, row_of
from bench.sizes import Sizes
from gureum.foundation import ids
from gureum.services.identity.projects.model import Project
from gureum.services.identity.users.model import User
from gureum.services.image.images.model import Image

TOKENS = "/identity/v3/auth/tokens"


@dataclass(frozen=True, slots=True)
class Lists:
    """One run; `users` and `login` with few users, `many_users` and `many_login` with many."""

    projects: Load
    images: Load
    users: Load
    many_users: Load
    login: Load
    many_login: Load
    sizes: tuple[int, int]


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes))
    projects = min((run.projects for run in runs), key=lambda load: load.rate.p50_ms)
    prepared = limits.empty_handler(sizes.limit_s, runs[0].sizes[0], 1)
    yield Figure(
        "projects-list",
        f"list of {sizes.listed:,} projects, one connection, p50",
        projects.rate.p50_ms,
        "ms",
        25,
        least=True,
        limit=f"the same {runs[0].sizes[0] / 1024:,.0f} KiB, prepared, {prepared.p50_ms:.1f} ms",
        note=projects.note(),
    )
    images = max((run.images for run in runs), key=lambda load: load.rate.per_s)
    yield Figure(
        "images-page",
        f"page of 100 of {sizes.listed:,} public images, 8 connections",
        images.rate.per_s,
        "/s",
        300,
        limit=limits.canned_note(sizes.limit_s, runs[0].sizes[1]),
        note=images.note(),
        upstream="564/s for a list of few",
    )
    for key, what, few, many in (
        ("users-page-crowded", "page of 100 users", "users", "many_users"),
        ("login-crowded", "login by password", "login", "many_login"),
    ):
        ratio = min(getattr(run, many).cpu_ms for run in runs) / min(getattr(run, few).cpu_ms for run in runs)
        note = f"processor time; p50 {min(getattr(run, many).rate.p50_ms for run in runs):.1f} ms"
        name = f"{what} with {sizes.many:,} users: cost against {sizes.listed:,}"
        yield Figure(key, name, ratio, "x", 1.5, least=True, limit="the same among fewer, in the same run", note=note)


def _one_run(cloud: Cloud, sizes: Sizes) -> Lists:
    image_id = cloud.image()
    with database_of(cloud) as database:
        project = row_of(database, Project, name="demo")
        user = row_of(database, User, name="demo")
        image = row_of(database, Image, id=image_id)

    def named(number: int) -> dict[str, object]:
        name = f"copy-{number}"
        return {"id": ids.new_hex(), "name": name, "name_key": name}

    multiply(cloud, Project, project, sizes.listed, named)
    multiply(cloud, Image, image, sizes.listed, lambda number: {"id": ids.new_uuid(), "name": f"copy-{number}"})
    multiply(cloud, User, user, sizes.listed, named)
    projects, images = (
        cloud.admin.request("GET", "/identity/v3/projects"),
        "/image/v2/images?limit=100&visibility=public",
    )
    image_page = cloud.admin.request("GET", images)
    listed = cloud.steady(projects, seconds=sizes.seconds, connections=1)
    paged = cloud.steady(image_page, seconds=sizes.seconds)
    few = _users(cloud, sizes)
    multiply(cloud, User, user, sizes.many, named)
    many = _users(cloud, sizes)
    answers = (len(cloud.admin.send(projects)[2]), len(cloud.admin.send(image_page)[2]))
    return Lists(listed, paged, few[0], many[0], few[1], many[1], answers)


def _users(cloud: Cloud, sizes: Sizes) -> tuple[Load, Load]:
    page = cloud.admin.request("GET", "/identity/v3/users?limit=100")
    login = Client(cloud.port).request("POST", TOKENS, password_body("demo", PASSWORD))
    return (
        cloud.steady(page, seconds=sizes.seconds, connections=1),
        cloud.steady(login, seconds=sizes.seconds, connections=1),
    )
