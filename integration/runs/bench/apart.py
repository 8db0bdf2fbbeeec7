"""`python -m integration.runs.bench.apart [RUNS]` (`make apart`): the accuracy of `bench` across a cable.

The server stands in a network namespace of its own, Streamgauge in another, with a veth pair between; then a
relay stands before the server, and its journal is what arrivals are held against. Needs root: without it ends
with 2 and says so. Ends with 3 where a figure is above its limit, with 6 where some could not be taken: the
machine was too busy, or the run was INVALID by its own word.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from integration.runs.bench.__main__ import PACE_MS, head, line, once, say, summary
from integration.runs.bench.cell import OURS, Cell
from integration.runs.bench.places import NotAllowed, apart
from load.errors import ExitCode

RUNS: Final = 3
SECONDS: Final = 10
DELAY_MS: Final = 20.0
ERROR_MS: Final = 0.1
UNRESOLVED: Final = {100: 0.005, 400: 0.05, 500: 0.05}
"""Streams -> the largest share of chunks that may share their stamp."""
DELAY_ERROR_MS: Final = 5.0
"""So much later than it should the relay may send: that is its own lateness, and its journal knows it."""
CELLS: Final = (
    Cell(OURS, "ws", 100, PACE_MS, SECONDS),
    Cell(OURS, "ws", 500, PACE_MS, SECONDS),
    Cell(OURS, "sse", 400, PACE_MS, SECONDS),
    Cell(OURS, "ws", 100, PACE_MS, SECONDS, relay_ms=0),
    Cell(OURS, "ws", 100, PACE_MS, SECONDS, relay_ms=DELAY_MS),
    Cell(OURS, "sse", 100, PACE_MS, SECONDS, relay_ms=DELAY_MS),
)


def main(runs: int) -> ExitCode:
    every: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in CELLS}
    try:
        with apart() as place:
            say(f"server {' '.join(place.server[-1:])}, client {' '.join(place.client[-1:])}\n\n{head()}")
            for _ in range(runs):
                for cell, found in every.items():
                    found.append(once(cell, place))
    except NotAllowed as error:
        say(f"not allowed: {error}")
        return ExitCode.USAGE
    missed: list[str] = []
    silent: list[str] = []
    for cell, found in every.items():
        one = summary(found)
        say(line(one))
        if "INVALID" in one["verdict"] or 2 * sum(one["disturbed"]) > runs:
            silent.append(cell.name)
        else:
            missed += [f"{cell.name}: {what}" for what in above(cell, one)]
    say("")
    if silent:
        say(f"claims nothing, the machine was too busy or the run itself says INVALID: {', '.join(silent)}")
    say("\n".join(missed) or "every figure that is claimed is within its limit")
    return ExitCode.OBJECTIVE if missed else ExitCode.INVALID if silent else ExitCode.PASS


def above(cell: Cell, one: dict[str, Any]) -> list[str]:
    """The figures above their limits, in the median of the runs."""
    limits = {"ttft_error_p99_ms": ERROR_MS, "gap_error_p99_ms": ERROR_MS}
    limits |= {"unresolved": UNRESOLVED[cell.streams]}
    found = [
        f"{name} {one[name]['median']:g}, allowed {most:g}"
        for name, most in limits.items()
        if one[name]["median"] > most
    ]
    if cell.relay_ms:
        past = one["past_relay_ms"]["median"]
        if not cell.relay_ms <= past <= cell.relay_ms + DELAY_ERROR_MS:
            found.append(f"{past:g} ms later than the server sent, {cell.relay_ms:g} were planted")
    return found


if __name__ == "__main__":
    raise SystemExit(int(main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)))
