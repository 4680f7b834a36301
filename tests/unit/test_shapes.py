"""Types met for the first time by several threads at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/gureum"

PROGRAM = """
import sys, threading, msgspec
from gureum.foundation import shapes

sys.setswitchinterval(1e-6)
DATA = b'{"auth": {"identity": {"methods": ["a"], "user": {"name": "n"}}, "scope": {"name": "p"}}}'
PACKED = msgspec.msgpack.encode(msgspec.json.decode(DATA))
for _ in range(300):
    user = msgspec.defstruct("User", [("name", str)])
    identity = msgspec.defstruct("Identity", [("methods", list[str]), ("user", user)])
    auth = msgspec.defstruct("Auth", [("identity", identity), ("scope", user)])
    body = msgspec.defstruct("Body", [("auth", auth)])
    together = threading.Barrier(3)

    def meet(read):
        together.wait()
        read()

    reads = (
        lambda: shapes.json_decoder(body).decode(DATA),
        lambda: shapes.converted(msgspec.json.decode(DATA)["auth"], auth),
        lambda: shapes.packed_decoder(body).decode(PACKED),
    )
    threads = [threading.Thread(target=meet, args=(read,)) for read in reads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_that_meet_a_type_at_once_do_not_end_the_process():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env={"PYTHONPATH": "src"}, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), "prepare every type in foundation/shapes.py, under its lock"


def test_nothing_else_prepares_a_type():
    alone = {"foundation/shapes.py", "foundation/config.py", "roles/agent.py"}  # the last two before there are threads
    prepares = re.compile(
        r"^ .*(msgspec\.convert\(|Decoder\([A-Za-z]|msgspec\.\w+\.decode\(.*type=(?!dict))", re.MULTILINE
    )
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if prepares.search(path.read_text())}
    assert found - alone == set(), "use gureum.foundation.shapes there; its docstring says why"
