"""What the user asked for, checked and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the default profile gives where the user says nothing.

    host_think_s: a server that others use, with limits that we did not set, is asked less often.
    """

    users: int
    spawn_rate: float
    run_time: str
    think_s: float
    host_think_s: float
    mix: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Arrivals of open load: at random, or evenly spaced."""

    per_s: float
    poisson: bool = False

    @property
    def given(self) -> str:
        """As the option has it."""
        return f"{self.per_s:g}/s{',poisson' if self.poisson else ''}"

    def __str__(self) -> str:
        return f"{self.per_s:g}/s, {'poisson' if self.poisson else 'evenly spaced'}"


@dataclass(frozen=True, slots=True)
class Stage:
    """So many users for so long."""

    users: int
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, checked.

    run_time_s: None runs until stopped. host: a server that already runs; None starts the backend in
    `app_dir`. tls_ca: the authority that is believed, None for those of the system. config, app: what
    describes a target of the user's own. protocol: None for that of the bundled backend. scenarios: empty for
    all. mix: weight of each scenario, empty for the profile's. max_in_flight: None for as many as users.
    find_capacity: users, or the rate, are the most that may come. base, base_app, base_host: what is compared
    with, one of them at most. selfcheck: whether a comparison would find what it should. baseline: a
    stored run to be held against; baseline_required: whether it has to be comparable.
    """

    users: int
    spawn_rate: float
    run_time_s: float | None
    host: str | None
    token_env: str | None
    config: Path | None
    app: str | None
    app_dir: Path
    cov_source: tuple[str, ...]
    protocol: str | None
    model: str
    scenario_files: tuple[Path, ...]
    coverage: str
    objectives: tuple[str, ...]
    undecided: str
    scenarios: tuple[str, ...]
    mix: Mapping[str, int]
    failures: str
    prompts: Path | None
    seed: int
    arrivals: str
    think_s: float
    reports: Path
    trace_headers: bool
    tls_ca: Path | None = None
    insecure: bool = False
    rate: Rate | None = None
    replay: Path | None = None
    max_in_flight: int | None = None
    stages: tuple[Stage, ...] = ()
    find_capacity: bool = False
    base: str | None = None
    base_app: str | None = None
    base_host: str | None = None
    selfcheck: bool = False
    baseline: Path | None = None
    baseline_required: bool = False

    @property
    def is_paired(self) -> bool:
        """Whether two servers are compared."""
        return self.selfcheck or any((self.base, self.base_app, self.base_host))

    @property
    def is_open(self) -> bool:
        """Whether streams start without regard to how many are under way."""
        return self.rate is not None or self.replay is not None

    @property
    def is_corrected(self) -> bool:
        """Whether there are intended starts that an answer does not put off."""
        return self.is_open or self.arrivals != "closed"

    @property
    def loop(self) -> str:
        """What kind of load it is, for a report."""
        if self.is_open:
            return "open load"
        return "corrected closed loop" if self.is_corrected else "closed loop"
