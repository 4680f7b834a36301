"""A control plane that only answers on its port, and says that it is ready."""

import http.server
import sys
import tomllib
from pathlib import Path

config = tomllib.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
server = http.server.ThreadingHTTPServer(
    (config["api"]["host"], config["api"]["port"]), http.server.SimpleHTTPRequestHandler
)
print("2026-01-31T12:00:00.123456Z INFO api gureum.http req-12345678 - - stand-in serves", flush=True)
Path(config["state"], "run", "control.ready").touch()
server.serve_forever()
