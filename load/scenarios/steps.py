"""The steps of a search for a capacity: which one a stream belongs to, what is under way, and what came that
nobody declared. The ledger tells it; whoever searches opens and closes the steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from load.metrics.run import RAMP, STEP


class Steps:
    """Streams that were due between steps, or while a load settled, belong to no step.

    forgotten_ns: of what was due before it (monotonic), nothing is sent any more: a load begins without the
    backlog of the one before. at_once: streams under way; most_at_once: at any time of the current step.
    """

    def __init__(self) -> None:
        self.forgotten_ns = 0
        self.most_at_once = 0
        self._spans: list[tuple[str, int, int | None]] = []
        self._under_way: Counter[int] = Counter()
        self._undeclared: dict[str, dict[str, Counter[str]]] = {}

    @property
    def at_once(self) -> int:
        return self._under_way.total()

    def open(self, number: int, from_ns: int) -> str:
        """The step of that number begins; its window."""
        window = STEP.format(number)
        self._spans.append((window, from_ns, None))
        self.most_at_once = self.at_once
        return window

    def close(self, until_ns: int) -> None:
        """It is over."""
        window, from_ns, _ = self._spans[-1]
        self._spans[-1] = (window, from_ns, until_ns)

    def at(self, ns: int) -> str:
        """The window of a stream that was due then."""
        for window, from_ns, until_ns in reversed(self._spans):
            if ns >= from_ns:
                return window if until_ns is None or ns <= until_ns else RAMP
        return RAMP

    def began(self, intended_ns: int) -> None:
        """A stream that was due then is under way."""
        self._under_way[intended_ns] += 1
        self.most_at_once = max(self.most_at_once, self.at_once)

    def ended(self, intended_ns: int) -> None:
        """It is over."""
        self._under_way[intended_ns] -= 1
        if not self._under_way[intended_ns]:
            del self._under_way[intended_ns]

    def under_way(self, until_ns: int, from_ns: int = 0) -> int:
        """How many streams that were due in this time have not ended."""
        return sum(count for ns, count in self._under_way.items() if from_ns <= ns <= until_ns)

    def saw(self, window: str, scenario: str, seen: str) -> None:
        """An ending that nobody declared."""
        self._undeclared.setdefault(window, {}).setdefault(scenario, Counter())[seen] += 1

    def undeclared(self, window: str) -> Mapping[str, int]:
        """Scenario -> such endings of a step."""
        return {name: seen.total() for name, seen in self._undeclared.get(window, {}).items()}

    def seen(self, window: str) -> Mapping[str, int]:
        """What came instead -> how often, over all scenarios of a step, the most frequent first."""
        return dict(sum(self._undeclared.get(window, {}).values(), Counter[str]()).most_common())
