"""Names under which the target's log finds a request again."""

from __future__ import annotations

import secrets


def trace_headers() -> tuple[str, dict[str, str]]:
    """A new correlation id, and the headers that carry it: `X-Correlation-Id` and W3C `traceparent`."""
    trace_id = secrets.token_hex(16)
    return trace_id, {
        "x-correlation-id": trace_id,
        "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
    }
