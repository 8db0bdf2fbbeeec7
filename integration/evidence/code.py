"""Which code decided: a line that other code wrote says nothing of this one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

DECIDING: Final = (
    "load/verdict/rounds.py",
    "load/verdict/robust.py",
    "load/verdict/looks.py",
    "load/verdict/margins.py",
    "load/verdict/grade.py",
    "load/verdict/compare.py",
    "load/verdict/comparison.py",
    "load/scenarios/paired.py",
    "load/scenarios/rounds.py",
    "load/scenarios/blocks.py",
    "load/scenarios/barrier.py",
    "load/target/noise.py",
)


def code_hash(root: Path) -> str:
    """Of the names and bytes of those of DECIDING that this tree has."""
    found = hashlib.sha256()
    for name in DECIDING:
        file = root / name
        if file.exists():
            found.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]
