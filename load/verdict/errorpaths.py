"""The error-path map: of each place in a target's source where an error or a time-out is raised, caught,
answered or cleaned up, who reached it, how often, by what, and how late. Values in, values out.

State of a path: reached by `integration`, by `load`, by `both`, or by `neither`. Clocks that are set and
cancellations are listed beside the paths: an armed time-out is not one that fired. Notes are observations and
excuse nothing:

    only under concurrency    never with one request alone in flight
    shutdown only             every hit came after the signal to stop
    armed only                set, and never fired
    cannot fire               armed only, and always with no limit, or a limit of 0 around what never waits
    never by error            a cleanup that was only entered the ordinary way
    catch-all -> swallow      a handler of everything that does nothing: a smell
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from load.metrics.paths import Armed, Fired, Hit, PathPart, Site

INTEGRATION: Final = "integration"
LOAD: Final = "load"
OK: Final = "ok"
BY_CANCEL: Final = "cancel"
EARLY_MS: Final = 1.0
"""A clock that fires by more than this before its limit is not the one that was declared."""

CONCURRENT: Final = "only under concurrency"
SHUTDOWN: Final = "shutdown only"
ARMED_ONLY: Final = "armed only"
CANNOT_FIRE: Final = "cannot fire"
NEVER_BY_ERROR: Final = "never by error"
SMELL: Final = "catch-all -> swallow"


class State(StrEnum):
    """Whose runs reached a path."""

    INTEGRATION = INTEGRATION
    LOAD = LOAD
    BOTH = "both"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Reached:
    """A path as one label of one phase reached it. first_ms: since the phase began. first_users: how many
    users there were then, None where nobody counted. The rest as in `Hit`."""

    phase: str
    label: str
    exception: str | None
    code: str | None
    count: int
    first_ms: float
    first_users: int | None
    min_in_flight: int
    after_stop: int


@dataclass(frozen=True, slots=True)
class Late:
    """By how much a clock fired behind its limit, by the target's own word; min below 0: early."""

    n: int
    min: float
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, late_ms: Iterable[float]) -> Late | None:
        """None when it never fired."""
        found = sorted(late_ms)
        if not found:
            return None

        def quantile(q: float) -> float:
            return found[max(0, math.ceil(q * len(found)) - 1)]

        return cls(len(found), found[0], quantile(0.5), quantile(0.99), found[-1])


@dataclass(frozen=True, slots=True)
class Path:
    """One site. armed, fired: how often its clock was set and went off, None where there is none; limit_ms:
    the shortest it was set to, None likewise and where it never had one. late: by phase. reason: why it is
    declared unreachable, else None."""

    site: Site
    state: State
    notes: tuple[str, ...] = ()
    armed: int | None = None
    fired: int | None = None
    limit_ms: float | None = None
    late: Mapping[str, Late] = field(default_factory=dict)
    hits: tuple[Reached, ...] = ()
    reason: str | None = None

    @property
    def group(self) -> str:
        """The line of the table that counts it."""
        return group_of(self.site)


@dataclass(frozen=True, slots=True)
class Phase:
    """processes: that left a part. incomplete: of them, killed before they told everything."""

    processes: int
    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorPaths:
    """The map of one target. phases: those that there are data of. checks: name -> `ok` or what is wrong.
    left_out: parts that were not joined, each with the reason. listed: sites that are no paths."""

    source_hash: str
    python: str
    core: str
    phases: Mapping[str, Phase]
    checks: Mapping[str, str]
    left_out: tuple[str, ...]
    paths: tuple[Path, ...]
    listed: tuple[Path, ...]

    @property
    def usable(self) -> bool:
        return all(result == OK for result in self.checks.values())

    @property
    def complete(self) -> bool:
        return not any(phase.incomplete for phase in self.phases.values())

    def counts(self, paths: Iterable[Path] | None = None) -> dict[str, int]:
        """Paths by state, all of them or some."""
        found = dict.fromkeys((str(state) for state in State), 0)
        for path in self.paths if paths is None else paths:
            found[path.state] += 1
        return found

    def by_row(self) -> dict[str, tuple[Path, ...]]:
        """Id of docs/errors.md -> its paths."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            for row in path.site.rows:
                found[row].append(path)
        return {row: tuple(paths) for row, paths in found.items()}


def is_path(site: Site) -> bool:
    """Whether it can be reached by an error: not a clock that is set, and not a cancellation of our own."""
    return site.kind != "cancel-op" and (site.kind, site.sub) != ("timeout", "armed")


def group_of(site: Site) -> str:
    return f"{site.kind} {site.sub}" if site.kind in ("respond", "timeout") else site.kind


def make_map(
    parts: Sequence[PathPart],
    *,
    left_out: Sequence[str] = (),
    declared: Mapping[str, str] = MappingProxyType({}),
    began_ns: Mapping[str, int] = MappingProxyType({}),
    users_at: Callable[[int], int | None] = lambda _: None,
) -> ErrorPaths:
    """parts: of the same sources, at least one. declared: id -> why it is unreachable. began_ns: phase ->
    where its times count from, else from the start of each process. users_at: how many users there were at a
    moment of the load phase."""
    first = parts[0]
    sites = {site.id: site for part in parts for site in part.sites}
    hits: dict[str, list[tuple[PathPart, Hit]]] = defaultdict(list)
    armed: dict[str, list[Armed]] = defaultdict(list)
    fired: dict[str, list[tuple[str, Fired]]] = defaultdict(list)
    for part in parts:
        for hit in part.hits:
            hits[hit.site].append((part, hit))
        for one in part.armed:
            armed[one.site].append(one)
        for shot in part.fired:
            fired[shot.site].append((part.phase, shot))

    def path(site: Site) -> Path:
        own = [name for name in (site.id, site.armed_by) if name is not None]
        clocks = [one for name in own for one in armed[name]] if site.kind == "timeout" else []
        shots = next((fired[name] for name in own if fired[name]), [])
        phases = {part.phase for part, _ in hits[site.id]}
        found = [hit for _, hit in hits[site.id]]
        return Path(
            site=site,
            state=_state(phases),
            notes=tuple(_notes(site, found, clocks)),
            armed=sum(one.count for one in clocks) if site.kind == "timeout" else None,
            fired=sum(hit.count for hit in found) if site.kind == "timeout" and is_path(site) else None,
            limit_ms=min((one.limit_ms for one in clocks if one.limit_ms is not None), default=None),
            late=_late(shots),
            hits=_reached(hits[site.id], began_ns, users_at),
            reason=declared.get(site.id),
        )

    every = [path(site) for site in sites.values()]
    return ErrorPaths(
        source_hash=first.source_hash,
        python=" + ".join(sorted({part.python for part in parts})),
        core=" + ".join(sorted({part.core for part in parts})),
        phases={
            phase: Phase(
                sum(part.phase == phase for part in parts),
                tuple(part.name for part in parts if part.phase == phase and not part.final),
            )
            for phase in sorted({part.phase for part in parts})
        },
        checks=_checks(parts),
        left_out=tuple(left_out),
        paths=tuple(one for one in every if is_path(one.site)),
        listed=tuple(one for one in every if not is_path(one.site)),
    )


def _state(phases: set[str]) -> State:
    if {INTEGRATION, LOAD} <= phases:
        return State.BOTH
    return State.LOAD if LOAD in phases else State.INTEGRATION if phases else State.NEITHER


def _notes(site: Site, hits: Sequence[Hit], clocks: Sequence[Armed]) -> Iterable[str]:
    if hits and min(hit.min_in_flight for hit in hits) > 1:
        yield CONCURRENT
    if hits and all(hit.after_stop == hit.count for hit in hits):
        yield SHUTDOWN
    if not hits and clocks and is_path(site):
        yield ARMED_ONLY
        if not any(one.limit_ms for one in clocks):
            yield CANNOT_FIRE
    if hits and site.kind == "cleanup" and not any(_by_error(hit) for hit in hits):
        yield NEVER_BY_ERROR
    if (site.sub, site.disposition) == ("catch-all", "swallow"):
        yield SMELL


def _by_error(hit: Hit) -> bool:
    return hit.exception is not None or hit.code == BY_CANCEL


def _late(shots: Iterable[tuple[str, Fired]]) -> dict[str, Late]:
    late_ms: dict[str, list[float]] = defaultdict(list)
    for phase, shot in shots:
        late_ms[phase] += [elapsed - shot.limit_ms for elapsed in shot.elapsed_ms]
    return {phase: late for phase, found in sorted(late_ms.items()) if (late := Late.of(found)) is not None}


def _reached(
    hits: Iterable[tuple[PathPart, Hit]],
    began_ns: Mapping[str, int],
    users_at: Callable[[int], int | None],
) -> tuple[Reached, ...]:
    """Hits of several processes under one label are one."""
    found: dict[tuple[str, str, str | None, str | None], Reached] = {}
    for part, hit in hits:
        key = (part.phase, hit.label, hit.exception, hit.code)
        first_ms = max(0.0, round((hit.first_ns - began_ns.get(part.phase, part.started_ns)) / 1e6, 1))
        users = users_at(hit.first_ns) if part.phase == LOAD else None
        known = found.get(key)
        if known is not None and known.first_ms < first_ms:
            first_ms, users = known.first_ms, known.first_users
        found[key] = Reached(
            *key,
            count=hit.count + (known.count if known else 0),
            first_ms=first_ms,
            first_users=users,
            min_in_flight=min(hit.min_in_flight, known.min_in_flight if known else hit.min_in_flight),
            after_stop=hit.after_stop + (known.after_stop if known else 0),
        )
    return tuple(sorted(found.values(), key=lambda one: (one.phase, -one.count, one.label)))


def _checks(parts: Sequence[PathPart]) -> dict[str, str]:
    """H6: no probe failed, and every file of the target that was imported has its probes."""
    for part in parts:
        if part.probe_errors:
            return {"H6": f"{part.name}: {part.probe_errors} probes failed"}
        if part.unhooked:
            return {"H6": f"{part.name}: imported without probes: {', '.join(part.unhooked)}"}
    return {"H6": OK}
