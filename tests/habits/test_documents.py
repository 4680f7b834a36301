"""The documents say what is true: links lead somewhere, options and tests that are named exist, coverage is current."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from gureum.foundation.config import FOUNDATION_SECTIONS, Config, RegionConfig
from gureum.roles.agent import AgentSettings
from gureum.roles.assembly import CATALOGUE

CLONE = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    file
    for file in (
        *CLONE.glob("*.md"),
        *CLONE.glob("docs/**/*.md"),
        *CLONE.glob("src/**/*.md"),
        *CLONE.glob("bench/*.md"),
    )
)
IDS = [str(file.relative_to(CLONE)) for file in DOCUMENTS]


def prose(file):
    """Without blocks of code, which hold brackets of their own."""
    return re.sub(r"```.*?```|^    [^\n]*$", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("file", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)]+)\)", prose(file)):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:", "mailto:")):
            continue
        found = (file.parent / path).resolve() if path else file
        assert found.exists(), f"{target} leads nowhere: write that page, or correct the link"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{target}: there is no such heading"


def anchors(file):
    """The names that a forge gives to headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", DOCUMENTS, ids=IDS)
def test_files_and_tests_that_are_named_exist(file):
    for path, name in re.findall(
        r"`(?:[a-z]+ )?((?:tests|tools|bench|docs|src)/[\w/.-]+)(?:::(\w+))?`", file.read_text()
    ):
        found = CLONE / path
        assert found.exists() or list(CLONE.glob(path + "*")), f"{path} does not exist"
        if name:
            assert f"def {name}(" in found.read_text(), f"{path} has no {name}: correct the document"


def options_of(text, heading):
    """{key: default} of the table below a heading."""
    section = text.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", section, re.MULTILINE))


def defaults_of(struct):
    return {name: msgspec.json.encode(value).decode() for name, value in msgspec.structs.asdict(struct).items()}


def sections():
    """{section: {option: default}} of the foundation and of every service."""
    found = {name: defaults_of(getattr(Config(), name)) for name in FOUNDATION_SECTIONS if name != "state"}
    kinds = [RegionConfig, *(kind for name in CATALOGUE.packages for kind in CATALOGUE.service(name).config)]
    for kind in kinds:
        found.setdefault(kind.SECTION, {}).update(defaults_of(kind()))
    return found


@pytest.mark.parametrize(("section", "options"), sections().items(), ids=sections())
def test_every_option_of_the_control_plane_is_told_with_its_default(section, options):
    text = (CLONE / "docs/operate/many-machines.md").read_text()
    assert options_of(text, f"### [{section}]") == options


def test_every_setting_of_an_agent_is_told_with_its_default():
    text = (CLONE / "docs/operate/many-machines.md").read_text()
    assert options_of(text, "## A host: the agent's settings") == defaults_of(AgentSettings())


def test_the_coverage_is_current():
    done = subprocess.run([CLONE / "tools/coverage", "--check"], cwd=CLONE, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"routes changed: run tools/coverage and read the difference\n{done.stderr}"


def test_the_openapi_documents_are_current():
    done = subprocess.run([CLONE / "tools/openapi", "--check"], cwd=CLONE, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"routes changed: run tools/openapi and read the difference\n{done.stderr}"


@pytest.mark.parametrize("service", CATALOGUE.packages)
def test_every_query_parameter_that_is_read_is_declared(service):
    """A parameter that handlers read by name stands in the `query` of a route, and so in the API's document."""
    files = (CLONE / "src/gureum/services" / service).rglob("*.py")
    read = {name for file in files for name in re.findall(r'call\.params?\("([^"]+)"\)', file.read_text())}
    document = json.loads((CLONE / f"docs/use/openapi/{service}.json").read_text())
    operations = [one for item in document["paths"].values() for one in item.values()]
    declared = {one["name"] for operation in operations for one in operation["parameters"] if one["in"] == "query"}
    assert read - declared - {"sort"} == set(), "name them in the `query` of their routes, then run tools/openapi"


@pytest.mark.parametrize("name", ["README", "docs/use/first-server", "docs/operate/one-machine"])
def test_translation_has_the_same_commands(name):
    """The commands of a translation, its comments aside, are those of the original."""
    ours, theirs = (commands(CLONE / f"{name}{language}.md") for language in ("", ".ko"))
    assert ours == theirs, f"keep {name}.md and {name}.ko.md in step"


def commands(file):
    lines = re.findall(r"^    (.+)$", file.read_text(), re.MULTILINE)
    drawing = re.compile("[─│]|^ {20}")
    return [line.partition("#")[0].rstrip() for line in lines if not drawing.search(line)]
