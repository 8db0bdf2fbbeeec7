"""Whole load tools as clients of the bench, each with a script of its own that does what every client does.

They are taken where they are: on the PATH, or in `.venv-bench` (`make bench-tools` puts Artillery there).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from integration.runs.bench.figures import Seen
from integration.runs.locust import ROOT, environment

SCRIPTS: Final = Path(__file__).parent / "scripts"
WHERE: Final = (ROOT / ".venv-bench" / "bin", ROOT / ".venv-bench" / "node_modules" / ".bin")
SETTLE_S: Final = 4.0
"""So much longer than a library they take until they have begun."""
WIRES: Final = {"artillery": "ws", "k6": "ws"}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is installed. version: as it says itself."""

    name: str
    path: str
    version: str


def installed() -> dict[str, Tool]:
    """Those that are there, and answer when they are asked for their version."""
    search = os.pathsep.join([*map(str, WHERE), os.environ.get("PATH", "")])
    found = {}
    for name in WIRES:
        path = shutil.which(name, path=search)
        if path is None:
            continue
        answer = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=60, env=_env(), check=False
        )
        version = re.search(r"(?:Artillery: |k6 v)([\w.+-]+)", answer.stdout)
        if version is not None:
            found[name] = Tool(name, path, version[1])
    return found


def start(tool: Tool, folder: Path, port: int, streams: int, seconds: int) -> subprocess.Popen[str]:
    """`streams` users for so long; what they saw is left in the folder."""
    env = _env() | {
        "BENCH_URL": f"ws://127.0.0.1:{port}/",
        "BENCH_STREAMS": str(streams),
        "BENCH_SECONDS": str(seconds),
        "BENCH_OUT": str(folder / "seen.json"),
    }
    args = [tool.path, "run", "--quiet", "--log-format", "raw", "--console-output", str(folder / "seen.txt")]
    args += [str(SCRIPTS / "k6.js")]
    if tool.name == "artillery":
        script = {
            "config": {
                "target": env["BENCH_URL"],
                "processor": str(SCRIPTS / "artillery.cjs"),
                "phases": [{"duration": 1, "arrivalCount": streams}],
            },
            "scenarios": [{"engine": "ws", "flow": [{"function": "stream"}]}],
        }
        (folder / "script.json").write_text(json.dumps(script))
        args = [tool.path, "run", "--quiet", str(folder / "script.json")]
    with (folder / "out.txt").open("w") as out:
        return subprocess.Popen(args, cwd=folder, env=env, stdout=out, stderr=out, text=True)


def seen(name: str, folder: Path) -> list[Seen]:
    """Every stream that ended. Raises SystemExit with the tool's last words where there are none."""
    streams: dict[str, list[int]] = {}
    if name == "artillery" and (folder / "seen.json").exists():
        streams = json.loads((folder / "seen.json").read_text())
    elif name == "k6" and (folder / "seen.txt").exists():
        # Its clock is the wall's, in milliseconds.
        offset = time.time_ns() - time.perf_counter_ns()
        for line in (folder / "seen.txt").read_text().splitlines():
            stream, arrivals = json.loads(line)
            streams[stream] = [at * 1_000_000 - offset for at in arrivals]
    if not streams:
        raise SystemExit(f"{name} failed:\n{(folder / 'out.txt').read_text()[-1000:]}")
    return [Seen(stream, tuple(arrivals)) for stream, arrivals in streams.items() if arrivals]


def _env() -> dict[str, str]:
    """One worker, as it has one core; and nothing is told to its makers."""
    return environment({"WORKERS": "1", "ARTILLERY_DISABLE_TELEMETRY": "true", "K6_NO_USAGE_REPORT": "true"})
