"""How long a host is up, as uptime(1) writes it."""

from __future__ import annotations

import re
import time

import pytest

from gureum.agents.hypervisor.uptime import uptime_now, uptime_text

MORNING = time.struct_time((2026, 1, 31, 8, 32, 11, 5, 31, 0))


@pytest.mark.parametrize(
    ("up_s", "users", "text"),
    [
        (59, 0, " 08:32:11 up 0 min,  0 users,  load average: 0.20, 0.12, 0.14"),
        (3600 * 4 + 300, 1, " 08:32:11 up  4:05,  1 user,  load average: 0.20, 0.12, 0.14"),
        (86400 + 120, 2, " 08:32:11 up 1 day, 2 min,  2 users,  load average: 0.20, 0.12, 0.14"),
        (86400 * 93 + 66300, 12, " 08:32:11 up 93 days, 18:25,  12 users,  load average: 0.20, 0.12, 0.14"),
    ],
)
def test_the_form_is_the_commands(up_s, users, text):
    assert uptime_text(MORNING, up_s, users, (0.2, 0.12, 0.14)) == text


def test_this_machine_has_one():
    assert re.fullmatch(r" [\d:]{8} up .+,  \d+ users?,  load average: [\d.]+, [\d.]+, [\d.]+", uptime_now())
