"""The driver that speaks a dialect over its wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

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
) -> MappedDriver:
    """One user's connection to `base_url`. values: what the places of requests are filled with."""
    make = MappedWebSocketDriver if dialect.wire == "websocket" else MappedHttpDriver
    return make(base_url, headers, limits, dialect, values, trace=trace)
