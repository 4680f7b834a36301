"""Which tests a change asks for: those of the services that changed, their neighbours', and a smoke of the rest.

Pure but for `changed_files`, which asks git. What is found here is a choice for a person who waits; CI runs everything.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from gureum.lab.refusal import Refusal

SMOKE = (
    "tests/habits",
    "tests/unit/test_service_contract.py",
    "tests/unit/test_policy.py",
    "tests/api/identity/test_authentication.py",
    "tests/api/placement/test_facade.py",
    "tests/api/image/test_images.py",
    "tests/api/network/test_flow.py",
    "tests/api/compute/test_whole_servers.py",
    "tests/api/test_sixth_service.py",
)
"""One walk through each service, and the laws of the house."""
_OF_DRIVERS = ("tests/unit/hypervisor", "tests/unit/network_drivers", "tests/unit/image", "tests/contracts")
_FOLDERS = {
    "agents": ("tests/unit/agents", "tests/contracts"),
    "drivers": _OF_DRIVERS,
    "lab": ("tests/unit/lab",),
    "cli": ("tests/unit/cli",),
    "roles": ("tests/unit/roles", "tests/unit/lab"),
}
_FOUNDATION = {
    "db": ("tests/unit/db", "tests/api/test_migrations.py", "tests/crash/database"),
    "tasks": ("tests/unit/tasks", "tests/crash"),
    "http": ("tests/unit/http", "tests/api/security"),
    "policy": ("tests/unit/test_policy.py", "tests/api/test_policy_matrix.py"),
    "bus": ("tests/contracts/test_bus.py",),
    "events": ("tests/unit/events", "tests/crash/events"),
    "fleet": ("tests/unit/test_fleet_calls.py",),
    "leftovers": ("tests/unit/leftovers",),
    "cache.py": ("tests/unit/test_cache.py", "tests/api/identity"),
    "connections.py": ("tests/unit/test_connections.py",),
    "quota": ("tests/unit/test_quota.py", "tests/unit/db/test_quotas.py", "tests/api/test_unified_limits.py"),
    "schedule.py": ("tests/unit/test_schedule.py",),
    "service.py": ("tests/unit/test_service_contract.py",),
}


def changed_files(clone: Path, base: str = "") -> list[str]:
    """Files that differ from `base`, by default the upstream that this branch left; with what is not committed."""
    if not base:
        upstream = _git(clone, "merge-base", "HEAD", "@{upstream}")
        base = upstream[0] if upstream else "HEAD~1"
    committed = _git(clone, "diff", "--name-only", base)
    if committed is None:
        raise Refusal(f"Git knows no {base}.", "Name a commit: gureum test --changed=COMMIT")
    return sorted({*committed, *(_git(clone, "ls-files", "--others", "--exclude-standard") or [])})


def _git(clone: Path, *words: str) -> list[str] | None:
    done = subprocess.run(["git", "-C", str(clone), *words], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else None


def paths_for(files: Iterable[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Paths of tests for these files; `needs` names for each service those whose facades it uses."""
    chosen: dict[str, None] = {}
    for file in files:
        chosen |= dict.fromkeys(_tests_of(PurePosixPath(file), needs))
    chosen |= dict.fromkeys(SMOKE)
    return [path for path in chosen if not any(path != other and path.startswith(f"{other}/") for other in chosen)]


def _tests_of(file: PurePosixPath, needs: Mapping[str, Iterable[str]]) -> list[str]:
    match file.parts:
        case ("tests", *_) if file.name.startswith("test_") and file.suffix == ".py":
            return [str(file)]
        case ("tests", *inner):
            return [str(file.parent) if inner[1:] else "tests/api"]
        case ("src", "gureum", "services", service, *_):
            return _of_service(service, file, needs)
        case ("src", "gureum", "foundation", room, *_):
            return ["tests/unit/tasks", *_FOUNDATION.get(room, ())]
        case ("src", "gureum", folder, *_):
            return [*_FOLDERS.get(folder, ())]
    return []


def _of_service(service: str, file: PurePosixPath, needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Its own tests, the rights that it gives, and those of whoever asks it through its facade."""
    own = [f"tests/api/{service}", f"tests/unit/{service}", "tests/api/test_policy_matrix.py"]
    lives = ["tests/crash"] if "lifecycle" in file.name else []
    asking = [other for other, needed in needs.items() if service in needed]
    return [*own, *lives, *(f"tests/api/{other}" for other in asking if file.name == "facade.py")]
