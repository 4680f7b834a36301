"""Whatever the bytes and however they are cut, the inspector answers, and answers the same."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.image_inspector import corpus

from gureum.drivers.image.formats.verdict import MAX_VIRTUAL_SIZE_BYTES
from gureum.drivers.image.inspector import DECLARED_FORMATS, Inspector, inspect_file, mismatch

IMAGES = [*corpus.SOUND.values(), corpus.vhd_fixed(), corpus.vmdk(grains=2**64 - 1, footer=corpus.vmdk_header())]

# Where the numbers are that lead a parser astray, in any of the formats.
OFFSETS = st.one_of(
    st.integers(0, 800),
    st.integers(32760, 32800),
    st.integers(192 << 10, (192 << 10) + 100),
    st.integers(256 << 10, (256 << 10) + 100),
    st.integers(1 << 20, (1 << 20) + 128),
    st.integers((1 << 20) + 65536, (1 << 20) + 65560),
)
PATCHES = st.lists(
    st.tuples(OFFSETS, st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8]))),
    max_size=4,
)


# Recipes, not images: Hypothesis keeps, compares and prints what it draws, and megabytes of it take minutes.
RECIPES = st.tuples(
    st.sampled_from(range(len(IMAGES))),
    PATCHES,
    st.sampled_from(["", "vhd", "vmdk", "dmg"]),
    st.one_of(st.none(), st.integers(0, 4 << 20)),
)
ENDS = {"vhd": corpus.vhd_footer(), "vmdk": corpus.vmdk_header(), "dmg": b"koly".ljust(512)}


def cook(recipe):
    number, patches, end, cut = recipe
    image = bytearray(IMAGES[number])
    for offset, patch in patches:
        if offset + len(patch) <= len(image):
            image[offset : offset + len(patch)] = patch
    if end:
        image[-512:] = ENDS[end]
    return bytes(image[:cut])


def verdict(image, cuts=()):
    inspector = Inspector()
    start = 0
    for end in (*sorted({cut % (len(image) + 1) for cut in cuts}), len(image)):
        inspector.feed(memoryview(image)[start:end])
        start = end
    return inspector.finish()


@settings(max_examples=300, deadline=None)
@given(RECIPES)
def test_it_never_raises_and_never_believes_too_much(recipe):
    image = cook(recipe)
    found = verdict(image)
    assert 0 <= found.virtual_size_bytes <= max(MAX_VIRTUAL_SIZE_BYTES, len(image))
    for declared in DECLARED_FORMATS:
        mismatch(declared, found)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4096))
def test_it_never_raises_for_noise(image):
    verdict(image)


@settings(max_examples=200, deadline=None)
@given(RECIPES, st.lists(st.integers(0, 5 << 20), max_size=30))
def test_chunking_changes_nothing(recipe, cuts):
    image = cook(recipe)
    assert verdict(image, cuts) == verdict(image)


def test_single_bytes_change_nothing():
    for image in (corpus.vmdk(), corpus.vhd_dynamic(), corpus.vdi(), corpus.vhd_fixed(4096)):
        assert verdict(image, range(len(image))) == verdict(image)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=RECIPES)
def test_a_file_gets_the_streams_verdict(recipe, tmp_path):
    image = cook(recipe)
    path = tmp_path / "image"
    path.write_bytes(image)
    assert inspect_file(path) == verdict(image)
