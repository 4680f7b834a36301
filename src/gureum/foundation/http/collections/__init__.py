"""The one list engine of all APIs: filters, tags, sort keys, pages and links, declared by each noun.

`docs/develop/lists.md` shows how a noun declares its list.
"""

from gureum.foundation.http.collections.collection import (
    ANY_VIEWER,
    EVERYTHING,
    NOBODY,
    Collection,
    Compared,
    Condition,
    Filter,
    Other,
    Reach,
    Special,
    Viewer,
    of_project,
)
from gureum.foundation.http.collections.links import Links
from gureum.foundation.http.collections.own import Own
from gureum.foundation.http.collections.pages import PARAMETERS, Page, Pages, Paging

__all__ = [
    "ANY_VIEWER",
    "EVERYTHING",
    "NOBODY",
    "PARAMETERS",
    "Collection",
    "Compared",
    "Condition",
    "Filter",
    "Links",
    "Other",
    "Own",
    "Page",
    "Pages",
    "Paging",
    "Reach",
    "Special",
    "Viewer",
    "of_project",
]
