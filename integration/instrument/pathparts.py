"""Parts of an error-path map made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from load.metrics.paths import Armed, Fired, Hit, PathPart, Site

SECOND_NS = 1_000_000_000

BLANK = Site("shop/api.py::ask::raise:domain:Problem#1", "shop/api.py", 10, "raise", "domain", "Problem")
FULL = Site("shop/api.py::ask::respond:http-5xx:503#1", "shop/api.py", 12, "respond", "http-5xx", "503")
SET = Site(
    "shop/run.py::first::timeout:armed:fail_after#1", "shop/run.py", 20, "timeout", "armed", "fail_after"
)
LATE = Site(
    "shop/run.py::first::timeout:fired:fail_after#1",
    "shop/run.py",
    20,
    "timeout",
    "fired",
    "fail_after",
    rows=("P6",),
    armed_by=SET.id,
)
CAUGHT = Site(
    "shop/run.py::first::except:catch-all:Exception#1",
    "shop/run.py",
    24,
    "except",
    "catch-all",
    "Exception",
    disposition="log",
)
TIDY = Site("shop/run.py::first::cleanup:finally:#1", "shop/run.py", 28, "cleanup", "finally")
CANCEL = Site(
    "shop/run.py::stop::cancel-op:cancel:scope#1", "shop/run.py", 30, "cancel-op", "cancel", "scope"
)
SITES = (BLANK, FULL, SET, LATE, CAUGHT, TIDY, CANCEL)


def hit(
    site: Site,
    label: str = "chat",
    *,
    exception: str | None = "Problem",
    code: str | None = None,
    count: int = 1,
    first_s: float = 1.0,
    min_in_flight: int = 1,
    after_stop: int = 0,
) -> Hit:
    first_ns = int(first_s * SECOND_NS)
    return Hit(site.id, label, exception, code, count, first_ns, min_in_flight, after_stop)


def part(
    phase: str = "load",
    *hits: Hit,
    sites: Sequence[Site] = SITES,
    armed: Sequence[Armed] = (),
    fired: Sequence[Fired] = (),
    final: bool = True,
    probe_errors: int = 0,
    unhooked: Sequence[str] = (),
) -> PathPart:
    return PathPart(
        name=f"{phase}.1",
        phase=phase,
        python="3.13.0",
        core="sysmon",
        source_hash="sha256:0",
        final=final,
        probe_errors=probe_errors,
        started_ns=0,
        stopping_ns=None,
        unhooked=tuple(unhooked),
        sites=tuple(sites),
        hits=hits,
        armed=tuple(armed),
        fired=tuple(fired),
    )
