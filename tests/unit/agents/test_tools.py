"""Outside programs end at their limits."""

from __future__ import annotations

import sys
import time

import pytest

from gureum.agents.hypervisor.tools import Limits, RunningTool, ToolFailed, run_tool


def test_cve_2015_5162_a_program_gets_no_more_memory_than_its_limit():
    program = [sys.executable, "-c", "print(len(bytes(512 << 20)))"]
    assert run_tool(program, limits=Limits(memory_mib=2048)).strip() == str(512 << 20)
    with pytest.raises(ToolFailed, match="MemoryError"):
        run_tool(program, limits=Limits(memory_mib=256))


@pytest.mark.parametrize("run", [run_tool, lambda program, limits: RunningTool(program, limits).wait()])
def test_cve_2015_5162_a_program_gets_no_more_processor_time_than_its_limit(run):
    with pytest.raises(ToolFailed):
        run([sys.executable, "-c", "while True: pass"], limits=Limits(cpu_s=1))


def test_a_program_that_waits_is_ended():
    began = time.monotonic()
    with pytest.raises(ToolFailed, match=r"longer than 0\.2 s"):
        run_tool(["sleep", "60"], timeout_s=0.2)
    assert time.monotonic() - began < 10
