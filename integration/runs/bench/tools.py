"""Whole load tools as clients of the bench, each doing what every client does.

They are taken where they are: on the PATH, or where `make bench-tools` puts them. Artillery and k6 are given
a script that times each chunk; AIPerf does so by itself, and keeps it when asked for its raw records.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from integration.runs.bench.figures import Seen
from integration.runs.locust import ROOT, environment

SCRIPTS: Final = Path(__file__).parent / "scripts"
WHERE: Final = tuple(ROOT / ".venv-bench" / folder for folder in ("bin", "node_modules/.bin", "aiperf/bin"))
WIRES: Final = {"artillery": "ws", "k6": "ws", "aiperf": "sse"}
VERSION: Final = {"artillery": ("version",), "k6": ("version",), "aiperf": ("--version",)}
TOKENIZER: Final[dict[str, dict[str, Any]]] = {
    "tokenizer.json": {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "word": 1, "a": 2}, "unk_token": "[UNK]"},
    },
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"},
}
"""AIPerf wants one, and would fetch that of a known model."""


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
        asked = [path, *VERSION[name]]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=60, env=_env(), check=False)
        version = re.search(r"\d+\.\d+\.\d+", answer.stdout)
        if version is not None:
            found[name] = Tool(name, path, version[0])
    return found


def start(
    tool: Tool, folder: Path, port: int, streams: int, seconds: int, *, paced: bool
) -> subprocess.Popen[str]:
    """So many users for so long; what they saw is left there. paced: each chunk's time is asked for."""
    env = _env() | {
        "BENCH_URL": f"ws://127.0.0.1:{port}/",
        "BENCH_STREAMS": str(streams),
        "BENCH_SECONDS": str(seconds),
        "BENCH_OUT": str(folder / "seen.json"),
    }
    if tool.name == "artillery":
        args = _artillery(folder, env["BENCH_URL"], streams)
    elif tool.name == "aiperf":
        args = _aiperf(folder, port, streams, seconds, "raw" if paced else "summary")
    else:
        args = ["run", "--quiet", "--log-format", "raw", "--console-output", str(folder / "seen.txt")]
        args += [str(SCRIPTS / "k6.js")]
    with (folder / "out.txt").open("w") as out:
        return subprocess.Popen([tool.path, *args], cwd=folder, env=env, stdout=out, stderr=out, text=True)


def _artillery(folder: Path, url: str, streams: int) -> list[str]:
    script = {
        "config": {
            "target": url,
            "processor": str(SCRIPTS / "artillery.cjs"),
            "phases": [{"duration": 1, "arrivalCount": streams}],
        },
        "scenarios": [{"engine": "ws", "flow": [{"function": "stream"}]}],
    }
    (folder / "script.json").write_text(json.dumps(script))
    return ["run", "--quiet", str(folder / "script.json")]


def _aiperf(folder: Path, port: int, streams: int, seconds: int, level: str) -> list[str]:
    (folder / "tokenizer").mkdir()
    for name, content in TOKENIZER.items():
        (folder / "tokenizer" / name).write_text(json.dumps(content))
    args = f"profile --model bench --url http://127.0.0.1:{port} --endpoint-type chat --streaming --ui none"
    args += f" --concurrency {streams} --benchmark-duration {seconds} --isl 16 --export-level {level}"
    args += " --no-gpu-telemetry --no-server-metrics"
    return [
        *args.split(), "--tokenizer", str(folder / "tokenizer"), "--output-artifact-dir", str(folder / "out"),
    ]  # fmt: skip


def seen(name: str, folder: Path) -> list[Seen]:
    """Every stream that it has timed. Raises SystemExit with its last words where it has left nothing."""
    left = {"artillery": "seen.json", "k6": "seen.txt", "aiperf": "out/profile_export_aiperf.json"}
    if not (folder / left[name]).exists():
        raise SystemExit(f"{name} failed:\n{(folder / 'out.txt').read_text()[-1000:]}")
    streams: dict[str, list[int]] = {}
    if name == "artillery":
        streams = json.loads((folder / "seen.json").read_text())
    elif name == "k6":
        streams = dict(_of_k6(folder / "seen.txt"))
    elif (folder / "out" / "profile_export_raw.jsonl").exists():
        streams = dict(_of_aiperf(folder / "out" / "profile_export_raw.jsonl"))
    return [Seen(stream, tuple(arrivals)) for stream, arrivals in streams.items() if arrivals]


def _of_k6(lines: Path) -> Iterator[tuple[str, list[int]]]:
    """Its clock is the wall's, in milliseconds."""
    offset = time.time_ns() - time.perf_counter_ns()
    for line in lines.read_text().splitlines():
        stream, arrivals = json.loads(line)
        yield stream, [at * 1_000_000 - offset for at in arrivals]


def _of_aiperf(lines: Path) -> Iterator[tuple[str, list[int]]]:
    """Every event with the monotonic time at which it was read; those with text are chunks."""
    with lines.open() as records:
        for record in map(json.loads, records):
            arrivals, stream = [], ""
            for response in record["responses"]:
                for packet in response["packets"]:
                    if packet["value"].startswith("{") and '"content"' in packet["value"]:
                        arrivals.append(response["perf_ns"])
                        stream = json.loads(packet["value"])["id"]
            yield stream, arrivals


def _env() -> dict[str, str]:
    """One worker, as it has one core; and nothing is told to its makers."""
    return environment({"WORKERS": "1", "ARTILLERY_DISABLE_TELEMETRY": "true", "K6_NO_USAGE_REPORT": "true"})
