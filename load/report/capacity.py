"""A search for a capacity, as the document holds it and as a reader sees it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

from load.report.document import Document
from load.report.layout import Column, Row, Table, Tile, Tone
from load.report.numbers import NO_DATA, ms
from load.verdict.search import Search, Step
from load.verdict.slo import Decision

BAR: Final = 8
"""Letters of the longest bar."""
MISSED: Final = "✗"
"""Before the value of an objective that was missed."""
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def capacity_of(search: Search) -> Mapping[str, Any]:
    """The member `capacity` of run.json."""
    found = search.answer
    best = search.best

    def load(value: int | None) -> float | int | None:
        return None if value is None else round(value * search.grain, 6)

    return {
        "unit": search.unit,
        "told": search.told,
        "low": load(found.low) if found.low else None,
        "high": load(found.high),
        "ceiling": load(found.ceiling),
        "end": found.end.value,
        "sure": found.sure,
        "most": load(search.most),
        "at_once": max((step.most_at_once for step in best), default=None),
        "steps": [_step(step, round(step.load * search.grain, 6)) for step in search.steps],
    }


def _step(step: Step, load: float) -> Mapping[str, Any]:
    return {
        "number": step.number,
        "load": load,
        "outcome": step.outcome.value,
        "why": step.why,
        "lasted_s": round(step.lasted_s, 3),
        "streams": step.ended,
        "good": step.good,
        "good_per_s": round(step.good_per_s, 3),
        "at_once": {"mean": round(step.at_once, 2), "max": step.most_at_once},
        "undeclared": step.seen,
        "ttft_ms": dict(zip(("p50", "p99"), step.ttft_ms, strict=True)),
        "gap_ms": dict(zip(("p50", "p99"), step.gap_ms, strict=True)),
        "lateness_p99_ms": step.late_ms,
        "objectives": [
            {"text": result.objective.text, "decision": result.decision.name, "shown": result.shown}
            for result in step.results
        ],
    }


def capacity_line(document: Document) -> tuple[str, ...]:
    """The answer, in front of all that is said of the run; nothing in any other run."""
    found = document.get("capacity")
    if not found:
        return ()
    at_once = "" if found["at_once"] is None else f"; at most {found['at_once']:,} streams at once"
    return (f"capacity: {found['told']}{at_once}",)


def capacity_tile(document: Document) -> tuple[Tile, ...]:
    """The same for the eye."""
    found = document.get("capacity")
    if not found:
        return ()
    low, high = (NO_DATA if found[end] is None else f"{found[end]:,g}" for end in ("low", "high"))
    value = f"{low} … {high}" if found["high"] is not None else f"≥ {low}"
    return (Tile("capacity", low if found["low"] is None else value, found["unit"]),)


def curve(document: Document) -> Table:
    """Every step, by its load; those under the same load in the order in which they came."""
    found = document["capacity"]
    steps = sorted(found["steps"], key=lambda step: (step["load"], step["number"]))
    most = max((step["good_per_s"] for step in steps), default=0.0)
    texts = [result["text"] for result in _columns(steps[0])] if steps else []
    rows = tuple(
        Row(
            (
                f"{load:,g}",
                step["outcome"],
                f"{step['at_once']['max']:,}",
                f"{step['good_per_s']:,.1f}",
                bar(step["good_per_s"], most),
                ms(step["ttft_ms"]["p50"]),
                ms(step["ttft_ms"]["p99"]),
                *(_held(result) for result in _columns(step)),
                _why(step),
            ),
            _tone(step),
        )
        for load, group in groupby(steps, key=lambda step: step["load"])
        for step in group
    )
    columns = (
        Column(found["unit"]),
        Column("outcome", number=False, whole=True),
        Column("at once"),
        Column("good a second"),
        Column("", number=False, whole=True),
        Column("ttft p50, ms"),
        Column("p99, ms"),
        *(Column(text, aside=True) for text in texts),
        Column("why not", number=False, aside=True),
    )
    note = (
        f"{found['told']}. A step is judged by the streams that were due in it once its load had settled, and"
        f" by how late the generator was; {MISSED}: missed. At once: the most streams under way. Figures"
        " elsewhere, but counts of the whole run, are those of the largest load that held."
    )
    return Table("Capacity", note, columns, rows, brief=True)


def bar(value: float, most: float) -> str:
    """A bar as long as the value, in eighths of a letter."""
    eighths = round(8 * BAR * value / most) if most else 0
    full, rest = divmod(eighths, 8)
    return ("█" * full + EIGHTHS[rest]).rstrip()


def _held(result: Mapping[str, Any]) -> str:
    """The value that an objective was held against."""
    missed = result["decision"] == Decision.MISSED.name
    return f"{MISSED} {result['shown']}" if missed else str(result["shown"])


def _columns(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objectives that have a column; what nobody declared is told by name, with its count."""
    return [result for result in step["objectives"] if not result["text"].startswith("unexpected count")]


def _why(step: Mapping[str, Any]) -> str:
    """What the columns of the objectives do not say already."""
    said = {f"{result['text']}: it was {result['shown']}" for result in step["objectives"]}
    why = [part for part in step["why"].split("; ") if part and part not in said]
    if len(_columns(step)) == 1:
        why = [part.removeprefix(f"{_columns(step)[0]['text']}: ") for part in why]
    seen = [f"{count:,} × {what}" for what, count in step["undeclared"].items()]
    return "; ".join([*why, *seen]) or "–"


def _tone(step: Mapping[str, Any]) -> Tone:
    return {"held": "good", "missed": "bad"}.get(step["outcome"], "")  # type: ignore[return-value]
