"""The rows of docs/errors.md that the load profile reaches while it measures, a file for each chapter.

Importing this package fills `base.ROWS`.
"""

from load.scenarios.rows import (
    admission,
    client,
    feedback,
    frames,
    handshake,
    headers,
    interrupted,
    lookups,
    nonsense,
    provider,
    repeated,
    requests,
    silence,
    steering,
    tokens,
    waiting,
)

__all__ = [
    "admission",
    "client",
    "feedback",
    "frames",
    "handshake",
    "headers",
    "interrupted",
    "lookups",
    "nonsense",
    "provider",
    "repeated",
    "requests",
    "silence",
    "steering",
    "tokens",
    "waiting",
]
