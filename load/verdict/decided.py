"""A decision as plain values, for `run.json`, `history` and the evidence."""

from __future__ import annotations

import math
from dataclasses import asdict

from load.verdict.compare import Decision, Effect
from load.verdict.wording import certainty, effect_text, stalls_text


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


def _p(value: float) -> float:
    """Three digits, however small."""
    return float(f"{value:.3g}")
