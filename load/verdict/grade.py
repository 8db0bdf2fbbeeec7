"""Was the machine quiet enough? Pressure on its processors, and whether the order of the arms shows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from load.verdict.robust import welch
from load.verdict.rounds import TTFT, PairedRound

GRADES: Final = ((0.2, "quiet"), (0.5, "busy"), (0.8, "noisy"))
"""Largest median of pressure of each grade."""
UNUSABLE: Final = "unusable"
UNKNOWN: Final = "unknown"
TOO_MUCH: Final = 0.8
ORDER_LEVEL: Final = 0.001


def pressures(rounds: Sequence[PairedRound]) -> list[float]:
    """Of each block whose pressure is known."""
    return [psi for one in rounds for psi in one.psi if psi is not None]


def grade(rounds: Sequence[PairedRound]) -> str:
    """In one word."""
    known = pressures(rounds)
    if not known:
        return UNKNOWN
    median = statistics.median(known)
    return next((name for most, name in GRADES if median <= most), UNUSABLE)


def overwhelmed(rounds: Sequence[PairedRound]) -> bool:
    """More than half of the blocks ran under too much pressure to trust any of them."""
    known = pressures(rounds)
    return 2 * sum(psi > TOO_MUCH for psi in known) > len(known)


def order_shows(rounds: Sequence[PairedRound]) -> bool:
    """Rounds that began with base and rounds that began with head differ in TTFT."""
    first: dict[bool, list[float]] = {True: [], False: []}
    for one in rounds:
        effect = one.effects.get(TTFT)
        if effect is not None:
            first[one.base_first].append(effect)
    return welch(first[True], first[False]) < ORDER_LEVEL
