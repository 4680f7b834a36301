"""`gureum install`, `openrc` and `guest-image`: what a cloud of several machines is set up with."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from gureum.cli.terminal import CLONE, Terminal
from gureum.lab.refusal import Refusal
from gureum.lab.state import require_config


def install_for_people(names: Sequence[str]) -> int:
    """Install the roles and say what is left to do."""
    from gureum.lab.installing import install_roles

    with Terminal() as terminal:
        roles = install_roles(list(dict.fromkeys(names)), terminal)
    waiting = [role for role in roles if not role.file.exists()]
    for role in waiting:
        print(f"{role.unit} waits for {role.file}: docs/operate/many-machines.md says what is in it.")
    if waiting:
        print(f"Then run: systemctl start {' '.join(role.unit for role in waiting)}")
    started = [role.unit for role in roles if role not in waiting]
    if started:
        print(f"Started: {' '.join(started)}. Their logs: journalctl -u {' -u '.join(started)}")
    return 0


def print_openrc(file: Path) -> int:
    """The first administrator's variables, as the configuration has them."""
    require_config(file)
    from gureum.foundation.config import load
    from gureum.lab.credentials import openrc_text
    from gureum.services.identity.config import FirstUsersConfig

    config = load(file)
    password, region = config.section(FirstUsersConfig).admin_password, config.region
    print(openrc_text(f"{config.public_url}/identity/v3", "admin", "admin", password, region), end="")
    return 0


def write_guest_image(file: Path) -> int:
    """Build mini and copy it to `file`."""
    from gureum.lab.guest_image import GuestImageError, build_guest_image

    with Terminal() as terminal, terminal.step("building the guest image mini"):
        try:
            image = build_guest_image(CLONE / ".cache" / "guest", lambda _line: None)
        except GuestImageError as error:
            raise Refusal(f"The guest image could not be built: {error}.", "Mend that and run it again.") from error
    shutil.copyfile(image, file)
    return 0
