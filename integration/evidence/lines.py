"""What is kept of a comparison: everything that its decision rests on, some 10 kB.

Every field of every round (load/verdict/rounds.py), names written once and values as rows, so that each
decision can be taken again. Blocks and streams are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from load.verdict.compare import Decision
from load.verdict.comparison import CONFIRMATION, FIRST, Comparison, joined
from load.verdict.rounds import PairedRound

FORMAT: Final = 1
_MAPPINGS: Final = ("effects", "base_ms", "head_ms")


@dataclass(frozen=True, slots=True)
class Told:
    """A decision in words. verdict: None where the comparison came to no end."""

    verdict: str | None
    reason: str | None
    regressed: tuple[str, ...]

    @classmethod
    def of(cls, decision: Decision | None) -> Told:
        """None of a comparison that did not come to its end."""
        if decision is None or decision.verdict is None:
            return cls(None, None, ())
        reason = None if decision.reason is None else decision.reason.value
        return cls(decision.verdict.value, reason, decision.regressed)


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison. number: from 1, of its case and code. code: hash of what decided. first: before,
    answer: after the confirmation. exit_code, exit_warn: with `--undecided fail` and `warn`. findings: kind,
    scenario and reason. load_s: of all comparisons of the run; job_s: from start to end of the process. runs:
    rounds by name of the comparison, packed."""

    case: str
    number: int
    seed: int
    utc: str
    sha: str
    code: str
    first: Told
    answer: Told
    exit_code: int
    exit_warn: int
    findings: tuple[tuple[str, str | None, str], ...]
    load_s: float
    job_s: float
    runs: Mapping[str, Any]

    def to_json(self) -> str:
        """On one line."""
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Line:
        """The line that `to_json` gave; raises KeyError where a field is missing."""
        stored: dict[str, Any] = json.loads(text)
        values = {name: stored[name] for name in cls.__slots__}
        for name in ("first", "answer"):
            values[name] = Told(**(stored[name] | {"regressed": tuple(stored[name]["regressed"])}))
        values["findings"] = tuple((kind, scenario, reason) for kind, scenario, reason in stored["findings"])
        return cls(**values)

    @property
    def broke(self) -> bool:
        """A stream of head ended otherwise than declared."""
        return any(
            kind == "BEHAVIOUR" and (scenario or "").startswith("head") for kind, scenario, _ in self.findings
        )

    @property
    def first_load_s(self) -> float | None:
        """Of the first comparison; None where there was no round."""
        run = self.again.get(FIRST)
        return None if run is None else run.load_s

    @property
    def again(self) -> dict[str, Comparison]:
        """Every comparison of the run, decided again from its rounds."""
        found = {}
        for name, run in self.runs.items():
            found[name] = Comparison(run["budget_s"])
            for one in unpacked(run):
                found[name].take(one)
        return found


def told_again(found: Mapping[str, Comparison]) -> tuple[Told, Told]:
    """First and answer."""
    first = found.get(FIRST)
    return Told.of(None if first is None else first.decision), Told.of(joined(found))


def packed(found: Mapping[str, Comparison]) -> dict[str, Any]:
    """Rounds by name of the comparison: names once, then a row of values for each round."""
    return {name: _packed(found[name]) for name in (FIRST, CONFIRMATION) if name in found}


def _packed(comparison: Comparison) -> dict[str, Any]:
    plain: list[dict[str, Any]] = [dict(one.to_json()) for one in comparison.rounds]
    names = {field: list(plain[0][field]) if plain else [] for field in _MAPPINGS}
    rows = [
        [
            [value[name] for name in names[field]] if field in _MAPPINGS else value
            for field, value in one.items()
        ]
        for one in plain
    ]
    return {"budget_s": comparison.budget_s, "names": names, "rounds": rows}


def unpacked(run: Mapping[str, Any]) -> list[PairedRound]:
    """The rounds of one comparison."""
    fields, names = PairedRound.__slots__, run["names"]
    found = []
    for row in run["rounds"]:
        values = dict(zip(fields, row, strict=True))
        values |= {field: dict(zip(names[field], values[field], strict=True)) for field in _MAPPINGS}
        found.append(PairedRound.from_json(values))
    return found


def read(folder: Path, series: str, code: str) -> list[Line]:
    """The lines of this code, oldest first."""
    file = folder / f"{series}.jsonl"
    if not file.exists():
        return []
    lines = [Line.from_json(text) for text in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.code == code]


def append(folder: Path, series: str, line: Line) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{series}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line.to_json() + "\n")


def of_case(lines: Sequence[Line], name: str) -> list[Line]:
    return [line for line in lines if line.case == name]
