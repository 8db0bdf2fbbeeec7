"""What being measured costs a target, as `make bench` found it on this machine.

`reports/overhead.json`: `figures`, the last one of each Python, coverage and core, of the bundled backend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import coverage

from load.target.config import ROOT

FORMAT: Final = 2
STORED: Final = ROOT / "reports" / "overhead.json"


def stored(file: Path) -> Sequence[Mapping[str, Any]]:
    """Every figure of that file; none where it says nothing."""
    try:
        found = json.loads(file.read_text())
        return [one for one in found["figures"] if isinstance(one, dict)]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def stored_overhead(python: str | None, core: str | None, file: Path = STORED) -> float | None:
    """Processor time with lines and probes over that without, the larger of request and chunk; None where it
    was not measured for this Python, coverage and core."""
    for one in stored(file):
        if (one.get("python"), one.get("coverage"), one.get("core")) == (python, coverage.__version__, core):
            try:
                return max(
                    float(of_unit["mean"]) for of_unit in one["cpu_ratio"]["lines and probes"].values()
                )
            except (ValueError, LookupError, TypeError, AttributeError):
                return None
    return None
