"""What being measured costs a target, as `make bench` found it on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import coverage

from load.target.config import ROOT

STORED: Final = ROOT / "reports" / "overhead.json"


def stored_overhead(python: str | None, core: str | None, file: Path = STORED) -> float | None:
    """Processor time with lines and probes over that without, the larger of request and chunk; None where it
    was not measured for this Python, coverage and core."""
    try:
        found = json.loads(file.read_text())
        same = (found["python"], found["coverage"], found["core"]) == (python, coverage.__version__, core)
        ratios = found["cpu_ratio"]["lines and probes"].values()
        return max(float(one["mean"]) for one in ratios) if same else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
