"""What being measured costs a target, as `make bench` found it on this machine.

`reports/overhead.json`: `figures`, the last one of each Python, coverage and core, of the bundled backend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import coverage

from load.target.config import ROOT

FORMAT: Final = 2
STORED: Final = ROOT / "reports" / "overhead.json"
BOTH, PROBES = "lines and probes", "probes"


def stored(file: Path) -> Sequence[Mapping[str, Any]]:
    """Every figure of that file; none where it says nothing."""
    try:
        found = json.loads(file.read_text())
        return [one for one in found["figures"] if isinstance(one, dict)]
    except (OSError, ValueError, LookupError, TypeError):
        return []


@dataclass(frozen=True, slots=True)
class Overhead:
    """Processor time of a measured target over that of a plain one, with its 95 % interval; the larger of
    request and chunk."""

    mean: float
    low: float
    high: float

    @property
    def plain(self) -> dict[str, float]:
        """The member `overhead` of errorpaths.json."""
        return {"cpu_ratio": self.mean, "low": self.low, "high": self.high}


def stored_overhead(
    python: str | None, core: str | None, file: Path = STORED, *, of: str = BOTH
) -> Overhead | None:
    """of: BOTH or PROBES; these have no core. None where it was not measured with just these."""
    wanted = (python, coverage.__version__, core)
    for one in stored(file):
        same = (one.get("python"), one.get("coverage"), core if of == PROBES else one.get("core"))
        if same == wanted:
            try:
                found = [
                    Overhead(float(unit["mean"]), float(unit["low"]), float(unit["high"]))
                    for unit in one["cpu_ratio"][of].values()
                ]
                return max(found, key=lambda overhead: overhead.mean)
            except (ValueError, LookupError, TypeError, AttributeError):
                return None
    return None
