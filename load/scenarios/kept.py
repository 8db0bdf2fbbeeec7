"""When chunks arrived, kept of each stream until the provider's journal tells when they were written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from load.metrics.journal import Arrivals, Asked, split
from load.metrics.run import Run
from load.metrics.timeline import Timeline

MOST_STREAMS: Final = 100_000
"""Later ones have no figures beside the journal: of twelve chunks each, these take 60 MB."""


@dataclass(slots=True)
class Kept:
    """By the first word of the message: (scenario, window, arrivals); None where two streams share one."""

    streams: dict[str, tuple[str, str, Arrivals] | None] = field(default_factory=dict)

    def keep(self, word: str, scenario: str, window: str, timeline: Timeline) -> None:
        """Nothing of a stream without a word or a chunk."""
        arrivals = Arrivals.of(timeline) if word and len(self.streams) < MOST_STREAMS else None
        if arrivals is not None:
            self.streams[word] = None if word in self.streams else (scenario, window, arrivals)

    def book(self, run: Run, entries: Iterable[Asked]) -> None:
        """Adds to the tallies what the journal says of streams that asked the provider once."""
        once: dict[str, Asked | None] = {}
        for entry in entries:
            once[entry.word] = None if entry.word in once else entry
        for word, kept in self.streams.items():
            asked = once.get(word)
            parts = None if kept is None or asked is None else split(kept[2], asked)
            if kept is not None and parts is not None:
                run.tally(kept[0], kept[1]).book_split(parts)
