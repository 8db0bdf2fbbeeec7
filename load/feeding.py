"""The arrivals of open load, one greenlet that lets them come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import gevent

from load.crowd import arrive
from load.distributed import Shift
from load.options import Rate
from load.scenarios.base import Session


@dataclass(slots=True)
class Feeding:
    """weights: of the scenarios that an arrival without a place counts for. offsets_ns: of a trace. shift: of
    a worker, which takes its share alone."""

    session: Session
    weights: Mapping[str, float]
    offsets_ns: Sequence[int]
    shift: Shift | None = None
    _greenlet: gevent.Greenlet[..., None] | None = None

    def begin(self, began_ns: int, rate: Rate | None) -> None:
        """Lets them come from then on; rate: None for those of the trace."""
        self._greenlet = gevent.spawn(
            arrive, self.session, began_ns, self.weights, self.offsets_ns, self.shift, rate
        )

    def set_rate(self, per_s: float) -> None:
        """Lets so many a second come from now on."""
        rate = self.session.options.rate
        assert rate is not None
        self.stop()
        self.begin(time.perf_counter_ns(), replace(rate, per_s=per_s))

    def stop(self) -> None:
        """No more of them."""
        if self._greenlet is not None:
            self._greenlet.kill()
