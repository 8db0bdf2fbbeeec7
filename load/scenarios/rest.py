"""What a target holds while it serves nobody: the gauges of its /metrics, and its streams at the provider.

After a run each must be back where it was before the first user, but for what a server keeps on purpose:

    process_open_fds    pools keep connections: three files for each of the 11 to the database, and one for
                        each that is idle to the provider
    process_resident_   caches and the allocator take until a few thousand streams to be as large as they
    memory_bytes        will ever be, and the measurement of lines has its share
    tasks               a sweep that is under way
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from load.drivers.http import HttpDriver
from load.errors import InvalidRun
from load.scenarios.base import Session

SHARE: Final = 0.05
"""By so much more than before anything may be."""

SLACK: Final[Mapping[str, float]] = {
    "runs_active": 0,
    "runs_unsettled": 0,
    "ws_connections": 0,
    "run_frame_log_bytes": 0,
    "db_pool_in_use": 0,
    "tasks": 1,
    "process_open_fds": 80,
    "process_resident_memory_bytes": 64 << 20,
    "open_streams": 0,
}
"""By so much more where that is more than the share; the last is the provider's word."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What one look found, by name."""

    gauges: Mapping[str, float]

    def above(self, before: Rest) -> tuple[str, ...]:
        """The gauges that are higher than before by more than they may, or that nobody tells any more."""
        found = []
        for name, was in before.gauges.items():
            value = self.gauges.get(name)
            if value is None:
                found.append(f"{name} not told")
            elif value - was > max(SLACK[name], SHARE * was):
                found.append(f"{name} {value:,.0f}, before {was:,.0f}")
        return tuple(found)


def look(session: Session) -> Rest:
    """Asks the target, and the provider where it is ours. Raises InvalidRun when one does not tell."""
    driver = HttpDriver(
        session.target_url, {"authorization": f"Bearer {session.admin_token}"}, session.limits
    )
    try:
        response = driver.request("GET", "/metrics")
    finally:
        driver.close()
    if response.status != 200:
        raise InvalidRun("the target does not tell what it holds (GET /metrics)")
    gauges = _gauges(response.body.decode())
    if session.upstream_url is not None:
        gauges["open_streams"] = float(provider_stats(session.upstream_url, session)["open_streams"])
    return Rest(gauges)


def provider_stats(url: str, session: Session) -> dict[str, int]:
    """Counts of the provider's requests. Raises InvalidRun when it does not tell."""
    driver = HttpDriver(url, {}, session.limits, trace=False)
    try:
        response = driver.request("GET", "/__admin/stats")
    finally:
        driver.close()
    if response.status != 200:
        raise InvalidRun("the scripted provider does not answer")
    stats: dict[str, int] = response.json()
    return stats


def _gauges(text: str) -> dict[str, float]:
    """The samples of SLACK, in the text format of Prometheus."""
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples if name in SLACK}
