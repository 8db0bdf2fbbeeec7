"""Everything that one run measured: a tally for each scenario and window, and the generator's own health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from load.errors import InstrumentError
from load.metrics.histogram import Histogram
from load.metrics.row import StreamRow
from load.metrics.tally import Tally

__all__ = ["CLEAN", "RAMP", "ROUGH", "STEADY", "Health", "Run", "StreamRow", "Tally"]

CLEAN: Final = "clean"
ROUGH: Final = "rough"
RAMP: Final = "ramp"
"""A stream's window, by its intended start: without failures, with them, or outside of what is measured."""

STEP: Final = "step {}"
"""In a search for a capacity: of a step, by its number."""

STEADY: Final = (CLEAN, ROUGH)

SEPARATOR = "/"
"""Between scenario and window in stored form."""


@dataclass(slots=True)
class Health:
    """How well the generator kept up; ns.

    gauge: by how much a short sleep was overslept. lateness: from a chunk's arrival to our look at it, of
    every read with a kernel stamp. reads_unstamped: reads that fell back to the user clock, those whose stamp
    was rejected included. cpu_ns over wall_ns is the share of one core. faults: what the generator could not
    do by its own fault -> how often; none of it is booked on the target.
    """

    gauge: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)
    reads: int = 0
    reads_unstamped: int = 0
    stamps_rejected: int = 0
    clock_steps: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0
    involuntary_switches: int = 0
    processes: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Health) -> Health:
        return Health(
            self.gauge + other.gauge,
            self.lateness + other.lateness,
            self.reads + other.reads,
            self.reads_unstamped + other.reads_unstamped,
            self.stamps_rejected + other.stamps_rejected,
            self.clock_steps + other.clock_steps,
            self.cpu_ns + other.cpu_ns,
            self.wall_ns + other.wall_ns,
            self.involuntary_switches + other.involuntary_switches,
            self.processes + other.processes,
            {
                what: self.faults.get(what, 0) + other.faults.get(what, 0)
                for what in self.faults | other.faults
            },
        )

    def fault(self, what: str) -> None:
        """Counts one fault of the generator's own."""
        self.faults[what] = self.faults.get(what, 0) + 1

    @property
    def stamp_source(self) -> str:
        """`kernel` where nearly every read had its stamp, `user` where none had, else `mixed`."""
        if self.reads_unstamped == self.reads:
            return "user"
        return "kernel" if self.reads_unstamped * 100 <= self.reads else "mixed"

    def to_json(self) -> dict[str, object]:
        """Plain values, a key for each field."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {k: v.to_json() if isinstance(v, Histogram) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Health:
        """What `to_json` gave. Raises InstrumentError for anything else."""
        values: dict[str, object] = {}
        for name, value in stored.items():
            if name not in cls.__slots__:
                raise InstrumentError(f"not a stored health: {name}")
            if isinstance(value, Mapping) and name != "faults":
                value = Histogram.from_json(value)
            values[name] = value
        return cls(**values)  # type: ignore[arg-type]


@dataclass(slots=True)
class Run:
    """tallies: (scenario, window) -> Tally. Parts from several processes merge by `+`."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    health: Health = field(default_factory=Health)

    def tally(self, scenario: str, window: str) -> Tally:
        """The tally to book into; made at its first use."""
        tally = self.tallies.get((scenario, window))
        if tally is None:
            tally = self.tallies[scenario, window] = Tally()
        return tally

    def total(self, *, scenario: str | None = None, windows: Iterable[str] | None = None) -> Tally:
        """The sum over scenarios (or of one) and windows (or of some); empty where nothing was booked."""
        wanted = None if windows is None else set(windows)
        total = Tally()
        for (name, window), tally in self.tallies.items():
            if (scenario is None or name == scenario) and (wanted is None or window in wanted):
                total = total + tally
        return total

    def scenarios(self) -> list[str]:
        """Names of the scenarios that were booked, sorted."""
        return sorted({scenario for scenario, _ in self.tallies})

    def __add__(self, other: Run) -> Run:
        tallies = {
            key: self.tallies.get(key, Tally()) + other.tallies.get(key, Tally())
            for key in {**self.tallies, **other.tallies}
        }
        return Run(tallies, self.health + other.health)

    def to_json(self) -> dict[str, object]:
        """Plain values; `tallies` by `scenario/window`."""
        return {
            "tallies": {SEPARATOR.join(key): tally.to_json() for key, tally in self.tallies.items()},
            "health": self.health.to_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Run:
        """What `to_json` gave. Raises InstrumentError for anything else."""
        tallies, health = stored.get("tallies"), stored.get("health")
        if not isinstance(tallies, Mapping) or not isinstance(health, Mapping):
            raise InstrumentError("not a stored run")
        restored: dict[tuple[str, str], Tally] = {}
        for key, tally in tallies.items():
            scenario, separator, window = str(key).rpartition(SEPARATOR)
            if not separator or not isinstance(tally, Mapping):
                raise InstrumentError(f"not a stored run: {key}")
            restored[scenario, window] = Tally.from_json(tally)
        return cls(restored, Health.from_json(health))
