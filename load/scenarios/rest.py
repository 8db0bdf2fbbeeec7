"""What a target holds while it serves nobody: the gauges of its /metrics, and its streams at the provider.

After a run each must be back where it was before the first user, but for what a server keeps on purpose:

    process_open_fds    pools keep connections: three files for each of the 11 to the database, and one for
                        each that is idle to the provider
    process_resident_   caches and the allocator take until a few thousand streams to be as large as they
    memory_bytes        will ever be, and the measurement of lines has its share
    tasks               a sweep that is under way
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from load.drivers.http import HttpDriver
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
        """The gauges that are higher than before by more than they may, as text."""
        return tuple(
            f"{name} {value:,.0f}, before {was:,.0f}"
            for name, value in self.gauges.items()
            if value - (was := before.gauges.get(name, 0.0)) > max(SLACK[name], SHARE * was)
        )


def look(session: Session) -> Rest:
    """Asks the target, and the provider where it is ours; nothing of what cannot be read."""
    driver = HttpDriver(
        session.target_url, {"authorization": f"Bearer {session.admin_token}"}, session.limits
    )
    try:
        response = driver.request("GET", "/metrics")
    finally:
        driver.close()
    gauges = _gauges(response.body.decode()) if response.status == 200 else {}
    if session.upstream_url is not None:
        gauges["open_streams"] = float(provider_stats(session.upstream_url, session)["open_streams"])
    return Rest(gauges)


def provider_stats(url: str, session: Session) -> dict[str, int]:
    """Counts of the provider's requests."""
    driver = HttpDriver(url, {}, session.limits, trace=False)
    try:
        stats: dict[str, int] = json.loads(driver.request("GET", "/__admin/stats").body)
    finally:
        driver.close()
    return stats


def _gauges(text: str) -> dict[str, float]:
    """The samples of SLACK, in the text format of Prometheus."""
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples if name in SLACK}
