"""Which accelerator guests get on this host: KVM where a probe guest ran on it, TCG (emulation) everywhere else.

A /dev/kvm that opens proves nothing: there are hosts where it opens, runs a BIOS, and then spins for ever in the
first operating system. So the answer comes from running `probe_guest.s`, 1 KiB of firmware that goes through paging,
timer interrupts and user mode within milliseconds, under a time limit. The answer is remembered in a file for
as long as the same kernel boot, device node and QEMU binary stay. Invariant: "kvm" is never answered unless the
guest has run to its end on KVM. `driver.py` takes the answer as an option; `doctor` asks here as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from gureum.drivers.hypervisor.interface import HypervisorError

Accelerator = Literal["kvm", "tcg"]

EMULATOR = "qemu-system-x86_64"
KVM_DEVICE = Path("/dev/kvm")
PROBE_LIMIT_S = 3.0

# isa-debug-exit leaves QEMU with (value << 1) | 1, and the guest writes 0x2A.
_PROOF = (0x2A << 1) | 1
_FIRMWARE_BYTES = 65536
_BODY_BYTES = 0x400

# `probe_guest.s`, assembled, without the zeros and the jump that end it.
_GUEST = bytes.fromhex(
    "fa2e660f0116c0fd0f20c00c010f22c066ea18fcffff080066b810008ed88ec08ed0fc31c0bf00100000b900200000f3abc70500"
    "10000007200000c7050020000007300000c7050030000087000000c7051820000007600000c705b86f00009300e0febe00fcffff"
    "bf00800000b900010000f3a5ea7b80000008000f0115c6810000b8200000000f22e0b8001000000f22d8b9800000c00f320d0001"
    "00000f30b8110000800f22c0eaaf8000001800bc007000000f011c25d081000066c70425004200005181c60425024200001866c7"
    "042504420000008e66c70425004800006f81c60425024800001866c704250448000000eec7042504500000007c000066b830000f"
    "00d8be0000e0fec786f0000000ff010000c786e00300000b000000c7862003000020000200c78680030000a086010031dbfbf483"
    "fb0372fa6a2b680078000068020200006a23685f81000048cfffc3c786b00000000000000048cfb9a086010031c001c8c1c803e2"
    "f9cd803515eb489266baf400eff4ebfd8db400000000000000000000ffff0000009bcf00ffff00000093cf00ffff0000009baf00"
    "ffff000000fbaf00ffff000000f3cf00670000500089000000000000000000003f0080fdffff3f008081000000000000ff0f0040"
)
_RESET_JUMP = bytes.fromhex("e90dfc")
_RESET_VECTOR = 0x3F0


def probe_acceleration(cache: Path) -> Accelerator:
    """Answer "kvm" or "tcg", from `cache` when it holds an answer for this boot, else by running the probe guest.

    Takes milliseconds where KVM works or is absent, `PROBE_LIMIT_S` where it hangs. A cache that cannot be
    read or written only costs the probe. Raises HypervisorError when QEMU is not installed or cannot start.
    """
    emulator = shutil.which(EMULATOR)
    if emulator is None:
        raise HypervisorError(f"{EMULATOR} is not installed: apt-get install qemu-system-x86")
    if not KVM_DEVICE.exists():
        return "tcg"
    conditions = _conditions(emulator)
    remembered = _recall(cache, conditions)
    if remembered is None:
        remembered = "kvm" if probe_guest_runs("kvm") else "tcg"
        _remember(cache, conditions, remembered)
    return remembered


def probe_guest_runs(accelerator: Accelerator, limit_s: float = PROBE_LIMIT_S) -> bool:
    """Run the probe guest on one accelerator; true when it came to its end within `limit_s` seconds."""
    with tempfile.NamedTemporaryFile(prefix="gureum-probe-", suffix=".bin") as firmware:
        firmware.write(firmware_image())
        firmware.flush()
        command = [
            *(EMULATOR, "-accel", accelerator, "-machine", "q35", "-m", "16", "-nodefaults", "-no-user-config"),
            *("-display", "none", "-no-reboot", "-bios", firmware.name),
            *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        ]
        try:
            guest = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise HypervisorError(f"{EMULATOR} cannot be started: {error}") from error
        return _status_within(guest, limit_s) == _PROOF


def firmware_image() -> bytes:
    """The 64 KiB firmware: halt instructions, then the guest at its end, where the processor starts."""
    body = _GUEST.ljust(_RESET_VECTOR, b"\0") + _RESET_JUMP
    return b"\xf4" * (_FIRMWARE_BYTES - _BODY_BYTES) + body.ljust(_BODY_BYTES, b"\0")


def _status_within(guest: subprocess.Popen[bytes], limit_s: float) -> int | None:
    try:
        return guest.wait(limit_s)
    except subprocess.TimeoutExpired:
        guest.kill()
    try:
        guest.wait(limit_s)
    except subprocess.TimeoutExpired:
        # A virtual processor stuck inside the kernel ignores SIGKILL; waiting for it would hang the caller too.
        return None
    return None


def _conditions(emulator: str) -> dict[str, str]:
    device, binary = KVM_DEVICE.stat(), Path(emulator).resolve().stat()
    return {
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "kernel": os.uname().release,
        "device": f"{device.st_rdev}:{device.st_mode:o}:{device.st_uid}:{device.st_gid}",
        "emulator": f"{emulator}:{binary.st_mtime_ns}",
        "user": str(os.geteuid()),
    }


def _recall(cache: Path, conditions: dict[str, str]) -> Accelerator | None:
    try:
        document = json.loads(cache.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("conditions") != conditions:
        return None
    answer = document.get("accelerator")
    return answer if answer in ("kvm", "tcg") else None


def _remember(cache: Path, conditions: dict[str, str], answer: Accelerator) -> None:
    part = cache.with_name(f"{cache.name}.{os.getpid()}.part")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"conditions": conditions, "accelerator": answer}))
        part.replace(cache)
    except OSError:
        part.unlink(missing_ok=True)
