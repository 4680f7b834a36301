"""JSON patches and bodies of images, by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.errors import BadRequest, Forbidden, TooLarge
from gureum.services.image.images.fields import KNOWN, MADE_BY_THE_CLOUD, RESERVED, split
from gureum.services.image.images.patch import changes_of

FORBIDDEN = {"id", *MADE_BY_THE_CLOUD, *RESERVED}
NEW = "application/openstack-images-v2.1-json-patch"
NAMES = st.text(min_size=1, max_size=20).filter(lambda name: name.strip() and not name.startswith("os_glance"))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=5)


@given(NAMES)
def test_a_pointer_names_what_was_meant(name):
    escaped = name.replace("~", "~0").replace("/", "~1")
    operation = {"op": "add", "path": f"/{escaped}", "value": "v"}
    if name in FORBIDDEN:
        with pytest.raises(Forbidden):
            changes_of([operation], NEW)
        return
    [change] = changes_of([operation], NEW)
    assert (change.op, change.name, change.value, change.only_new) == ("add", name, "v", False)


@given(st.dictionaries(st.sampled_from([*sorted(KNOWN), "colour", "status"]), VALUES))
def test_a_body_is_taken_apart_or_refused_by_kind(body):
    try:
        new = split(body)
    except (BadRequest, Forbidden, TooLarge):
        return
    assert new.properties == {name: value for name, value in body.items() if name not in KNOWN}
    assert all(isinstance(value, str) for value in new.properties.values())
