"""load/target/pathparts.py: what processes left of the error paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from load.metrics.paths import Armed, Fired, Hit, Site
from load.target.pathparts import find_path_parts, join_path_parts, read_path_part

SITE = "shop/run.py::first::timeout:fired:fail_after#1"
TOLD: dict[str, Any] = {
    "format": 1,
    "phase": "load",
    "pid": 7,
    "python": "3.13.0",
    "core": "sysmon",
    "sources": {"shop/run.py": "00"},
    "final": True,
    "probe_errors": 0,
    "started_ns": 5,
    "stopping_ns": None,
    "unhooked": [],
    "sites": [
        {
            "id": SITE,
            "file": "shop/run.py",
            "function": "first",
            "line": 20,
            "kind": "timeout",
            "sub": "fired",
            "detail": "fail_after",
            "disposition": None,
            "row": "P6 P7",
            "armed_by": None,
        }
    ],
    "hits": [
        {
            "site": 0,
            "label": "chat",
            "exception": "TimeoutError",
            "code": 504,
            "count": 2,
            "first_ns": 9,
            "min_in_flight": 1,
            "after_stop": 0,
        }
    ],
    "armed": [{"site": 0, "label": "chat", "count": 3, "limit_ms": None}],
    "fired_ms": [{"site": 0, "limit_ms": 1500.0, "elapsed_ms": [1501.2]}],
}


def left(folder: Path, name: str, **changed: Any) -> Path:
    path = folder / f"{name}.paths.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(TOLD | changed))
    return path


def test_a_part_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Sites by their ids, codes as texts."""
    part = read_path_part(left(tmp_path, "load.7"))

    assert (part.name, part.phase, part.final) == ("load.7", "load", True)
    assert part.sites == (Site(SITE, "shop/run.py", 20, "timeout", "fired", "fail_after", rows=("P6", "P7")),)
    assert part.hits == (Hit(SITE, "chat", "TimeoutError", "504", 2, 9, 1, 0),)
    assert part.armed == (Armed(SITE, "chat", 3, None),)
    assert part.fired == (Fired(SITE, 1500.0, (1501.2,)),)


def test_parts_of_other_sources_are_left_out_by_name(tmp_path: Path) -> None:
    """The run's own say which sources are meant."""
    own = left(tmp_path, "load.7")
    same, other = (
        left(tmp_path, "integration.8", phase="integration"),
        left(tmp_path, "integration.9", sources={"shop/run.py": "01"}),
    )

    joined = join_path_parts([own], [other, same])

    assert [part.name for part in joined.parts] == ["load.7", "integration.8"]
    assert joined.left_out == ("integration.9: measured other sources",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "cannot be read (JSONDecodeError"),
        (json.dumps(TOLD | {"format": 2}), "cannot be read (ValueError: is of format 2, not 1)"),
        (json.dumps({"format": 1}), "cannot be read (KeyError: 'sites')"),
        ("[]", "cannot be read (TypeError"),
    ],
)
def test_what_is_no_part_is_left_out_with_the_reason(tmp_path: Path, content: str, expected: str) -> None:
    """It costs none of the others."""
    broken = tmp_path / "load.6.paths.json"
    broken.write_text(content)

    joined = join_path_parts([broken, left(tmp_path, "load.7")])

    assert [part.name for part in joined.parts] == ["load.7"]
    (reason,) = joined.left_out
    assert reason.startswith(f"load.6.paths.json: {expected}")


def test_parts_are_found_beside_the_coverage_data(tmp_path: Path) -> None:
    """And nothing else is."""
    (tmp_path / "coverage").mkdir()
    (tmp_path / "coverage" / "load.7.json").write_text("{}")
    part = left(tmp_path / "coverage", "load.7")

    assert find_path_parts(tmp_path) == (part,)
