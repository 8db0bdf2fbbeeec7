"""The driver that speaks a dialect over its wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from load.drivers.base import Hear, nobody
from load.drivers.dialects.mapping import Dialect
from load.drivers.mapped_http import MappedHttpDriver
from load.drivers.mapped_websocket import MappedWebSocketDriver
from load.metrics.timeline import Limits

MappedDriver: TypeAlias = MappedHttpDriver | MappedWebSocketDriver


def driver_of(
    dialect: Dialect,
    base_url: str,
    headers: Mapping[str, str],
    limits: Limits,
    values: Mapping[str, str],
    *,
    trace: bool = True,
    hear: Hear = nobody,
) -> MappedDriver:
    """One user's connection to `base_url`. values: what the places of requests are filled with."""
    if dialect.wire == "websocket":
        return MappedWebSocketDriver(base_url, headers, limits, dialect, values, trace=trace, hear=hear)
    return MappedHttpDriver(base_url, headers, limits, dialect, values, trace=trace)
