"""How long a host is up, in the words of uptime(1), which clients of the hypervisors API take apart.

Sources: proc(5) for /proc/uptime, utmp(5) for who is logged in, uptime(1) for the form.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

_RECORD = 384
_USER_PROCESS = 7


def uptime_now() -> str:
    """This machine's line."""
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    return uptime_text(time.localtime(), up_s, _users(Path("/run/utmp")), os.getloadavg())


def uptime_text(now: time.struct_time, up_s: float, users: int, load: tuple[float, float, float]) -> str:
    """Such as ` 08:32:11 up 93 days, 18:25,  2 users,  load average: 0.20, 0.12, 0.14`."""
    minutes = int(up_s) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    up = f"{days} day{'s' * (days != 1)}, " if days else ""
    up += f"{hours:2d}:{minutes:02d}" if hours else f"{minutes} min"
    loads = ", ".join(f"{one:.2f}" for one in load)
    return f" {time.strftime('%H:%M:%S', now)} up {up},  {users} user{'s' * (users != 1)},  load average: {loads}"


def _users(file: Path) -> int:
    """Who is logged in; 0 on a machine that keeps no such record."""
    try:
        data = file.read_bytes()
    except OSError:
        return 0
    records = range(0, len(data) - _RECORD + 1, _RECORD)
    return sum(struct.unpack_from("<h", data, at)[0] == _USER_PROCESS for at in records)
