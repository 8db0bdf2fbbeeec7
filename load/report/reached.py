"""Two members of run.json: the rows of docs/errors.md that were reached, and the windows side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from load.metrics.histogram import Histogram
from load.metrics.outcomes import Outcomes
from load.metrics.run import CLEAN, ROUGH, Run
from load.metrics.tally import Tally
from load.report.figures import distribution, figures
from load.verdict.behaviour import Needed

CHAPTERS: Final = "HAFLPCDSBWG"
"""The order in which docs/errors.md has its rows, by the letter of their ids."""


def rows(outcomes: Outcomes, needed: Iterable[Needed]) -> dict[str, object]:
    """By id. times: as declared. needed: how often it had to come, 0 where nothing was asked of this run."""
    wanted = {row.id: row.times for row in needed}
    found: dict[str, object] = {}
    for row_id in sorted(set(outcomes.rows.values()), key=_place):
        names = [name for name, its_id in outcomes.rows.items() if its_id == row_id]
        seen = {name: outcomes.scenarios[name] for name in names if name in outcomes.scenarios}
        lateness = sum((outcome.lateness for outcome in seen.values()), Histogram())
        found[row_id] = {
            "times": sum(outcome.as_expected for outcome in seen.values()),
            "total": sum(outcome.total for outcome in seen.values()),
            "needed": wanted.get(row_id, 0),
            "scenarios": {name: seen[name].as_expected if name in seen else 0 for name in names},
            "configured_ms": sorted(
                {outcome.configured_ms for outcome in seen.values() if outcome.configured_ms is not None}
            ),
            "lateness_ms": distribution(lateness),
        }
    return found


def _place(row_id: str) -> tuple[int, int]:
    return CHAPTERS.index(row_id[0]), int(row_id[1:])


def windows(
    run: Run, names: Sequence[str], order: Sequence[str], length_s: float | None, *, on_time: bool
) -> dict[str, object]:
    """names: the undisturbed scenarios. ttft_p50_ratio: rough over clean; None where one of them is empty."""
    found: dict[str, object] = {"order": list(order), "length_s": length_s}
    p50: list[float | None] = []
    for window in (CLEAN, ROUGH):
        tally = sum((run.total(scenario=name, windows=(window,)) for name in names), Tally())
        ttft = figures(tally, on_time=on_time, corrected=False)["ttft_ms"]
        found[window] = {"streams": tally.ended, "ttft_ms": ttft}
        value = ttft["p50"]
        p50.append(value if isinstance(value, float) else None)
    clean, rough = p50
    found["ttft_p50_ratio"] = round(rough / clean, 4) if rough and clean else None
    return found
