"""A comparison as plain values, for `run.json`, `history` and the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from load.verdict import selfcheck, wording
from load.verdict.advisory import Hint, hints
from load.verdict.compare import WITH_JOURNAL, Decision, Effect, Outcome, Reason
from load.verdict.comparison import FIRST, BlockLine, decide_again, joined
from load.verdict.judge import Finding
from load.verdict.rounds import CONTINUOUS, OF_JOURNAL, STALLED
from load.verdict.wording import certainty, effect_text, stalls_text

DOUBTS: Final = (Reason.NOISY, Reason.ORDER, Reason.FEW)
"""Whatever the figures say, they say it of no metric."""


@dataclass(frozen=True, slots=True)
class Arms:
    """What was compared.

    base, head: as a reader knows them, `origin/main (1a2b3c4)`, `working tree`. paired_by: `seed`, or
    `prompt` where the pace of an answer is not drawn from it. restarted: whether both ran in fresh processes
    every few rounds. notes: sentences that a reader needs beside the figures.
    """

    base: str
    head: str
    paired_by: str
    restarted: bool
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether a tree is compared with itself, to see what this machine can tell."""
        return self.base == self.head

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Arms:
        """What `comparison_json` made of it."""
        return cls(**{**stored, "notes": tuple(stored["notes"])})


def findings(arms: Arms, lines: Sequence[BlockLine], reproduce: str | None) -> Iterator[Finding]:
    """What these blocks come to; nothing of a comparison that did not come to its end."""
    found = decide_again(lines)
    decision = joined(found)
    if arms.same:
        yield from selfcheck.findings(found)
    elif decision is not None:
        yield from wording.findings(decision, reproduce)


def comparison_json(arms: Arms, lines: Sequence[BlockLine]) -> dict[str, object]:
    """The member `comparison` of `run.json`, all of it but `arms` from these blocks.

    result: null where not even the first comparison came to an end.
    """
    found = decide_again(lines)
    last = joined(found)
    return {
        "arms": asdict(arms) | {"notes": list(arms.notes)},
        "result": None
        if last is None
        else {
            "verdict": None if last.verdict is None else last.verdict.value,
            "reason": None if last.reason is None else last.reason.value,
            "regressed": list(last.regressed),
            "improved": list(last.improved),
            "metrics": {name: standing(last, name) for name in judged(last)},
        },
        "runs": {
            name: decision_json(one.decision) for name, one in found.items() if one.decision is not None
        },
        "hints": {name: _hint(one) for name, one in hints(lines, FIRST).items()},
    }


def judged(decision: Decision) -> tuple[str, ...]:
    """Names of all metrics that were to be judged."""
    journal = decision.tests == WITH_JOURNAL
    return (*(name for name in CONTINUOUS if journal or name not in OF_JOURNAL), STALLED)


def standing(decision: Decision, name: str) -> str:
    """One metric in a word: REGRESSED, not confirmed, undecided, no data, improved or OK."""
    if decision.verdict is Outcome.INVALID or decision.reason in DOUBTS:
        return "undecided"
    if name in decision.regressed:
        return "REGRESSED" if decision.verdict is Outcome.REGRESSED else "not confirmed"
    if name in decision.undecided:
        return "undecided"
    if name in decision.missing:
        return "no data"
    return "improved" if name in decision.improved else "OK"


def decision_json(decision: Decision) -> dict[str, object]:
    """Effects in per cent and in ms, with their intervals; docs/report.md names every field."""
    stalls = decision.stalls
    return {
        "verdict": None if decision.verdict is None else decision.verdict.value,
        "reason": None if decision.reason is None else decision.reason.value,
        "regressed": list(decision.regressed),
        "improved": list(decision.improved),
        "undecided": list(decision.undecided),
        "missing": list(decision.missing),
        "metrics": {effect.metric: _effect(effect) for effect in decision.effects},
        "stalled": {
            **asdict(stalls),
            "p": _p(stalls.p),
            "p_better": _p(stalls.p_better),
            "text": stalls_text(stalls),
        },
        "tests": decision.tests,
        "error_spent": _p(sum(one.allowance for one in decision.looks.taken)),
        "looks": [
            {**asdict(one), "share": round(one.share, 4), "allowance": _p(one.allowance), "p": _p(one.p)}
            for one in decision.looks.taken
        ],
        "rounds": decision.rounds,
        "lifetimes": decision.lifetimes,
        "load_s": round(decision.load_s, 3),
        "budget_s": decision.budget_s,
        "noise": decision.grade,
        "more_s": None if decision.more_s is None else round(decision.more_s, 1),
    }


def _effect(effect: Effect) -> dict[str, object]:
    estimate, margins = effect.estimate, effect.margins
    marks = {"effect": estimate.mean, "low": effect.low, "high": effect.high}
    base_ms = effect.base_ms
    return {
        "percent": {name: round(100 * math.expm1(mark), 3) for name, mark in marks.items()},
        "ms": None
        if base_ms is None
        else {name: round(base_ms * math.expm1(mark), 4) for name, mark in marks.items()},
        "base_ms": base_ms,
        "head_ms": effect.head_ms,
        "ignore_percent": round(100 * math.expm1(margins.ignore), 3),
        "harm_percent": round(100 * math.expm1(margins.harm), 3),
        "p": _p(effect.p),
        "p_better": _p(effect.p_better),
        "n": estimate.n,
        "text": effect_text(effect),
        "certainty": certainty(effect),
    }


def _hint(hint: Hint) -> dict[str, object]:
    marks = {"effect": hint.effect, "low": hint.low, "high": hint.high}
    return {
        "percent": {name: round(100 * math.expm1(mark), 3) for name, mark in marks.items()},
        "base_ms": round(hint.base, 4),
        "head_ms": round(hint.head, 4),
        "n": hint.n,
    }


def _p(value: float) -> float:
    """Three digits, however small."""
    return float(f"{value:.3g}")
