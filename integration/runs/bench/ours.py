"""The whole Locust process as a client of the bench: everything on, one scenario, over a dialect."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from integration.runs.bench.figures import Seen
from integration.runs.bench.places import Place
from integration.runs.locust import ROOT, environment

CONFIG = '[[scenario]]\nname = "chat"\nprotocol = "agentchat-{wire}"\nmodel = "bench"\n'


def start(
    folder: Path, place: Place, port: int, wire: str, streams: int, seconds: int, processes: int
) -> subprocess.Popen[str]:
    """A run that lasts `seconds` behind its ramp."""
    config = folder / "streamgauge.toml"
    config.write_text(CONFIG.format(wire=wire))
    args = [
        *place.client,
        sys.executable,
        "-m",
        "locust",
        "-f",
        "locustfile.py",
        "--headless",
        "--reports",
        str(folder / "reports"),
    ]
    args += [
        "--config",
        str(config),
        "--host",
        f"http://{place.host}:{port}",
        "-u",
        str(streams),
        "-r",
        str(streams),
    ]
    args += [
        "-t",
        f"{seconds}s",
        "--seed",
        "1",
        "--arrivals",
        "closed",
        "--think-s",
        "0.001",
        "--failures",
        "none",
    ]
    if processes > 1:
        args += ["--processes", str(processes)]
    with (folder / "out.txt").open("w") as out:
        env = environment({"NO_PROXY": place.host})
        return subprocess.Popen(args, cwd=ROOT, env=env, stdout=out, stderr=out, text=True)


def run_of(folder: Path) -> tuple[Any, list[Seen]]:
    """`run.json` and the streams that ended."""
    (left,) = [path for path in (folder / "reports").iterdir() if not path.is_symlink()]
    document = json.loads((left / "run.json").read_text())
    seen = []
    with gzip.open(left / "streams.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["state"] != "DONE":
                continue
            arrivals = [(row["intended_us"] + row["sent_us"] + row["ttft_us"]) * 1000]
            for gap in row["gaps_us"]:
                arrivals.append(arrivals[-1] + gap * 1000)
            seen.append(Seen(row["execution_id"], tuple(arrivals), tuple(row["mates"])))
    return document, seen
