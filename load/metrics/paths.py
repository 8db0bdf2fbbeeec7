"""Error paths as the processes of a target tell them: the places in its source, and what reached them.

A *site* is a place where an error or a time-out is raised, caught, answered or cleaned up; docs/errorpaths.md
has the closed set of kinds. Times are CLOCK_MONOTONIC, which target and generator share.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """id: without line numbers, so that it stays when lines move. disposition: what a handler does, None for
    what is none. rows: ids of docs/errors.md that it realises. armed_by: id of the site that sets the clock
    which fires here."""

    id: str
    file: str
    line: int
    kind: str
    sub: str
    detail: str = ""
    disposition: str | None = None
    rows: tuple[str, ...] = ()
    armed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """So often a site was reached under a label, by one type of exception with one code.

    exception: None where none was on its way. code: what that exception or the answer says; `cancel` for a
    cleanup that a cancellation entered. min_in_flight: the fewest requests under way at one of them.
    after_stop: so many came after the signal to stop.
    """

    site: str
    label: str
    exception: str | None
    code: str | None
    count: int
    first_ns: int
    min_in_flight: int
    after_stop: int


@dataclass(frozen=True, slots=True)
class Armed:
    """A clock that was set so often to one limit; None: set to never fire."""

    site: str
    label: str
    count: int
    limit_ms: float | None


@dataclass(frozen=True, slots=True)
class Fired:
    """How long after it was set a clock of one limit fired, each time."""

    site: str
    limit_ms: float
    elapsed_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PathPart:
    """What one process left. final: it told everything; else it was killed, or still runs, and told what had
    come up to 2 s before. probe_errors: probes that failed. unhooked: files that were imported without
    probes. sites: all of the measured packages, also of files that were never imported."""

    name: str
    phase: str
    python: str
    core: str
    source_hash: str
    final: bool
    probe_errors: int
    started_ns: int
    stopping_ns: int | None
    unhooked: tuple[str, ...]
    sites: tuple[Site, ...]
    hits: tuple[Hit, ...] = ()
    armed: tuple[Armed, ...] = ()
    fired: tuple[Fired, ...] = ()
