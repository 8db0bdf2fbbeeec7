"""Numbers as text: no more digits than are known, 0 and 100 only when exactly so, `no data` of nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from load.report.layout import Column

QUANTILES: Final = (("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99))
NO_DATA: Final = "no data"


def percent(part: float, whole: float) -> str:
    """`99.4 %`; 0 and 100 only when exactly so; `no data` of nothing."""
    if not whole:
        return "no data"
    value = 100 * part / whole
    if value < 0.05 and part > 0:
        return "<0.1 %"
    if value >= 99.95 and part < whole:
        return ">99.9 %"
    return f"{value:.1f} %" if part not in (0, whole) else f"{value:.0f} %"


def with_count(part: int, whole: int) -> str:
    """`99.4 % (994 of 1,000)`."""
    return f"{percent(part, whole)} ({part:,} of {whole:,})" if whole else "no data"


def ms(value: float | None) -> str:
    """Three significant digits, which is what the histogram gives; the unit stands in the column."""
    if value is None:
        return NO_DATA
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    """n, each quantile and max; a range where only bounds are known, `~` with too few samples beyond it,
    `≥` where many that were due never came."""
    if not found["n"]:
        return ("0", *[NO_DATA] * (len(QUANTILES) + 1))
    low = found.get("low")
    shown = [f"{found['n']:,}"]
    for name, q in (*QUANTILES, ("max", 0.0)):
        text = ms(found[name])
        if low is not None and ms(low[name]) != text:
            text = f"{ms(low[name])} … {text}"
        few = found["n"] * (1 - q) < 2.999 and name != "max"
        shown.append(f"{'≥ ' if found.get('at_least') else ''}{'~' if few else ''}{text}")
    return tuple(shown)


FEW: Final = "~ fewer than three samples lie beyond it."
DISTRIBUTION: Final = (
    Column("n"),
    *(Column(f"{name}, ms") for name, _ in QUANTILES),
    Column("max, ms"),
)
