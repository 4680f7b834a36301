"""An agent that only exists."""

import json
import sys
import time
from pathlib import Path

assert json.loads(Path(sys.argv[sys.argv.index("--settings") + 1]).read_text())["host_ip"]
print("2026-01-31T12:00:00.456Z INFO agent gureum.agent req-12345678 - - stand-in heard of it", flush=True)
(Path(sys.argv[sys.argv.index("--state") + 1]) / "agent.ready").touch()
while True:
    time.sleep(60)
