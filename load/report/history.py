"""`history.jsonl` beside the runs: one line for each comparison that came to an answer.

Ratios of two commits of one job can be compared over months and machines; absolute figures cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from load.report.document import Document

FILE: Final = "history.jsonl"
FORMAT: Final = 1


def line_of(document: Document) -> Mapping[str, Any] | None:
    """What is worth keeping of a comparison; None of any other run, and of one without an answer.

    metrics: name -> per cent, as `effect`, `low`, `high`. head: commit of the working tree; dirty: with
    changes. base: as it was named, with its commit.
    """
    found = document.get("comparison")
    if not found or found["result"] is None:
        return None
    first, provenance = found["runs"]["first"], document["provenance"]
    return {
        "format": FORMAT,
        "utc": provenance["ended"],
        "run": document["name"],
        "base": found["arms"]["base"],
        "head": provenance["sha"],
        "dirty": provenance["dirty"],
        "verdict": found["result"]["verdict"],
        "reason": found["result"]["reason"],
        "regressed": found["result"]["regressed"],
        "metrics": {name: one["percent"] for name, one in first["metrics"].items()},
        "stalled": {name: first["stalled"][name] for name in ("base", "head")},
        "load_s": first["load_s"],
        "noise": first["noise"],
    }


def append(reports: Path, line: Mapping[str, Any]) -> None:
    """Adds it in one write. Raises OSError."""
    with (reports / FILE).open("ab", buffering=0) as file:
        file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
