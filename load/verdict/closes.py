"""Did clients get the close codes that the target sent?

The target counts the places that close a WebSocket with a code, under the label of its handshake; clients
count the codes that ended their connections, under the same label. One close may pass several places, so
what the busiest of them counted is the least that was sent:

    sent     told      of the connections   result
    n        n                              matched
    more     n         we ended enough      our end: a close that met our own reset, FIN or close frame
    more     n         we did not           lost close: a finding
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from load.errors import ExitCode
from load.metrics.outcomes import OPENED
from load.verdict.codes import MATCHED
from load.verdict.errorpaths import LOAD, Path
from load.verdict.judge import Finding

OURS: Final = "our end"
LOST: Final = "lost close"
CLOSES: Final = "ws-close"


@dataclass(frozen=True, slots=True)
class Close:
    """One close code under one label: so often told to clients, sent by the target at least so often. result:
    MATCHED, OURS or LOST."""

    label: str
    code: str
    client: int
    server: int
    result: str


def sent_and_told(connections: Mapping[str, Mapping[str, int]], paths: Iterable[Path]) -> tuple[Close, ...]:
    """connections: as `Outcomes.connections` has them. Labels without any are left out: nobody was there to
    be told."""
    sent: Counter[tuple[str, str]] = Counter()
    for path in paths:
        here: Counter[tuple[str, str]] = Counter()
        if (path.site.kind, path.site.sub) == ("respond", CLOSES):
            for hit in path.hits:
                if hit.phase == LOAD and hit.code is not None:
                    here[hit.label, hit.code] += hit.count
        sent |= here
    found = []
    for label, known in sorted(connections.items()):
        ended = sum(count for what, count in known.items() if what != OPENED)
        ours = known.get(OPENED, 0) - ended
        codes = {code: count for (of, code), count in sent.items() if of == label}
        missing = sum(max(0, count - known.get(code, 0)) for code, count in codes.items())
        for code, count in sorted(codes.items()):
            told = known.get(code, 0)
            result = MATCHED if told >= count else OURS if missing <= ours else LOST
            found.append(Close(label, code, told, count, result))
    return tuple(found)


def lost(closes: Iterable[Close]) -> Iterable[Finding]:
    """A finding for each code that was sent and never came."""
    for close in closes:
        if close.result == LOST:
            yield Finding(
                kind=ExitCode.BEHAVIOUR,
                scenario=close.label,
                figure="error paths",
                value=str(close.client),
                limit=str(close.server),
                reason=f"lost close: {close.code} sent {close.server} times, told {close.client} times",
            )
