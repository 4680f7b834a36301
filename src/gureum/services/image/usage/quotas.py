"""The four quotas of images: their limits and what counts against each. Read next: `checks.py`.

Limits come from identity's unified limits where there are some, else from `[image.quota]`; -1 is no limit. With two
strict levels a domain's limit holds for all its projects together. Totals are in MiB, and a copy in each store counts.
Source: image API reference v2, "Quota usage"; image service administration guide, "Per-tenant quotas".
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, join

from gureum.foundation.db.prepared import table_of
from gureum.foundation.errors import TooLarge
from gureum.foundation.quota import Overrun, Quotas, Rows
from gureum.services.image.config import ImageQuotaConfig
from gureum.services.image.images.model import Image
from gureum.services.image.locations.model import ImageLocation

MIB = 1 << 20
COUNT, SIZE, STAGED, UPLOADING = (
    "image_count_total",
    "image_size_total",
    "image_stage_total",
    "image_count_uploading",
)
TOTALS = (STAGED, SIZE)
"""Counted in bytes, limited and shown in MiB."""
_UNDER_WAY = Image.status.in_(("saving", "uploading", "importing")) | Image.import_task_id.isnot(None)
_LIVING = (Image.deleted_at.is_(None),)
_IMAGES = Rows(Image.owner, _LIVING)
_COPIES = Rows(
    Image.owner,
    _LIVING,
    source=join(table_of(Image), table_of(ImageLocation), ImageLocation.image_id == Image.id),
)
_COUNTERS = {
    COUNT: _IMAGES.count(),
    UPLOADING: _IMAGES.sum(case((_UNDER_WAY, 1), else_=0)),
    STAGED: _IMAGES.sum(Image.staged_bytes),
    SIZE: _COPIES.sum(Image.size_bytes),
}


def whole_mib(size_bytes: int) -> int:
    """A begun MiB counts whole."""
    return -(-size_bytes // MIB)


def _refusal(overruns: Sequence[Overrun]) -> TooLarge:
    first = overruns[0]
    whose = f"Domain {first.holder} with all its projects" if first.of_tree else f"Project {first.holder}"
    amounts = f"limit {first.limit}, current usage {first.used}, requested {first.requested} more"
    return TooLarge(f"{whose} is over a limit for [{first.resource}]: {amounts}")


QUOTAS = Quotas(
    "image",
    {name: getattr(ImageQuotaConfig(), name) for name in _COUNTERS},
    _COUNTERS,
    stored=False,
    refusal=_refusal,
)
