"""What the provider's journal adds to the figures of a run: how long a chunk was on its way, and where the
time to the first one went.

Quantiles of the parts do not add up to a quantile of the whole; means do. So the parts are shown as means of
the same streams, and each of them as a distribution of its own.
"""

from __future__ import annotations

from typing import Final

from load.metrics.histogram import Histogram
from load.metrics.tally import Tally
from load.report.figures import NS_PER_MS, Figure, distribution

BESIDE: Final = (
    Figure("relay_ms", "relay", "chunk written by the provider → received"),
    Figure("backend_ttft_ms", "backend_ttft", "request sent → first text, without the provider's own delay"),
    Figure("connect_ms", "connect", "connect called → connection usable, 0 on an open one"),
    Figure("admission_ms", "admission", "sent → accepted, or asked of the provider if that is earlier"),
    Figure("provider_ms", "provider", "asked of the provider → its first chunk written"),
    Figure("backend_ms", "backend", "the rest of the time to the first text"),
)
OF_SCENARIO: Final = ("relay_ms", "backend_ttft_ms", "split")
PARTS: Final = ("connect", "admission", "provider", "backend")


def beside(tally: Tally, *, journal: bool) -> dict[str, object]:
    """Each figure of BESIDE, and `split`. journal: whether there was one; without it all is None."""
    found: dict[str, object] = {}
    for figure in BESIDE:
        histogram: Histogram = getattr(tally, figure.source)
        found[figure.name] = distribution(histogram) if journal else None
    return found | {"split": _split(tally) if journal else None}


def _split(tally: Tally) -> dict[str, object] | None:
    """Means in ms, which add up to `first_text_ms`; None of nothing."""
    n = tally.backend.n
    if not n:
        return None
    sums_ns = {part: getattr(tally, part).sum for part in PARTS}
    parts = {f"{part}_ms": round(sum_ns / n / NS_PER_MS, 3) for part, sum_ns in sums_ns.items()}
    return {"n": n, "first_text_ms": round(sum(sums_ns.values()) / n / NS_PER_MS, 3), **parts}
