"""Models named `sim:…`: the whole behaviour stands in the name, so load needs no set-up and no state.

    ttft, gap   ms before the first delta, and between two
    n, size     deltas, and bytes of each
    jit         sigma of a log-normal spread of ttft and gap
    seed        a number, or `msg`: the first word of the last user message
    tag         makes the name unique
    fail, p     `KIND` or `KIND@k`: after k deltas, with probability p
    retry       the `Retry-After` of a status
    long        bytes of what is too long

Kinds: a status · `once-` and a status (the first request of this name) · stall · comments · roles · reset
· fin · truncate · errorevent · flood · pause (100 ms) · filter (the finish reason)
instead of a stream  page (HTML with 200)
of the whole stream  split (every byte by itself) · gzip (so it says)
an event that is     badjson · noobject · nochoices · badchoice · baddelta · nul · badutf8
                     · longline · longevent (lines that are not too long) · openline
behind the finish    nodone · late-reset · late-stall, and behind the end mark: done-stall
A leading `fb/` or `brk/` is ignored.
"""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from load.faults.upstream.script import Operation
from load.faults.upstream.wanted import Wanted

LONGEST: Final = 100_000
"""Operations of what goes on "for ever"."""
EVERY_MS: Final = 100
PAUSE_MS: Final = 100
EVENTS: Final[Mapping[str, bytes]] = {
    "badjson": b'{"choices":[{"delta"',
    "noobject": b"[]",
    "nochoices": b'{"object":"chat.completion.chunk"}',
    "badchoice": b'{"choices":["text"]}',
    "baddelta": b'{"choices":[{"delta":"text"}]}',
    "nul": b'{"choices":[{"delta":{"content":"\\u0000"}}]}',
    "badutf8": b'{"choices":[{"delta":{"content":"\xff"}}]}',
}
"""What stands in an event that is none."""
TOO_LONG: Final = frozenset(("longline", "longevent", "openline"))
WHOLE: Final = frozenset(("split", "gzip"))
BEHIND: Final = frozenset(("nodone", "late-reset", "late-stall", "done-stall"))
GOES_ON: Final = frozenset(("comments", "roles", "flood", "pause"))
KINDS: Final = (
    frozenset(("stall", "reset", "fin", "truncate", "errorevent", "filter", "page"))
    | EVENTS.keys()
    | TOO_LONG
    | WHOLE
    | BEHIND
    | GOES_ON
)
_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
CLOSING: Final = frozenset(("fin", "errorevent")) | EVENTS.keys() | TOO_LONG
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Sim:
    """One name of a model, read."""

    ttft: float = 50.0
    gap: float = 20.0
    n: int = 20
    size: int = 6
    jit: float = 0.0
    seed: str = ""
    tag: str = ""
    fail: str = ""
    after: int = 0
    p: float = 1.0
    retry: str = ""
    long: int = 0

    @property
    def status(self) -> int | None:
        """The status it refuses with."""
        number = self.fail.removeprefix("once-")
        return int(number) if number.isdecimal() else None

    @property
    def once(self) -> bool:
        return self.fail.startswith("once-")


def bare(model: str) -> str:
    """The name without the prefixes by which a backend chooses its provider."""
    return model.removeprefix("fb/").removeprefix("brk/")


def parsed(model: str) -> Sim:
    """Raises `ValueError` with the part that cannot be read."""
    values: dict[str, object] = {}
    kinds = {field.name: field.type for field in fields(Sim)}
    for part in filter(None, bare(model).removeprefix("sim:").split(",")):
        name, _, value = part.partition("=")
        if name not in kinds or name == "after":
            raise ValueError(f"unknown: {part}")
        if name == "fail":
            kind, _, after = value.partition("@")
            number = kind.removeprefix("once-")
            if kind not in KINDS and not (number.isdecimal() and 300 <= int(number) < 600):
                raise ValueError(f"unknown: {part}")
            values |= {"fail": kind, "after": int(after or 0)}
        else:
            values[name] = {"int": int, "float": float, "str": str}[str(kinds[name])](value)
    return Sim(**values)  # type: ignore[arg-type]


def script_of(asked: Wanted, *, seen: bool) -> Iterator[Operation]:
    """What this model answers to this message; `seen`: it was asked before (for `once-`)."""
    sim, message = parsed(asked.model), asked.last
    seed = asked.word if sim.seed == "msg" else sim.seed or bare(asked.model)
    draw = random.Random(seed)
    fails = bool(sim.fail) and random.Random(f"{seed}|{message}").random() < sim.p
    if fails and sim.status is not None and not (sim.once and seen):
        later = {"Retry-After": sim.retry} if sim.retry else {}
        yield "status", sim.status, later, {"error": _told(sim.status)}
        return
    breaks = sim.fail if fails and sim.status is None else ""
    if breaks == "page":
        yield "status", 200, {}, "<!doctype html><title>Welcome</title>"
        return
    if breaks == "split":
        yield "chunk_split", 1
    # Who ends a body and then the connection says so before. Else it may be asked again in between.
    headers = {"Connection": "close"} if breaks in CLOSING else {}
    yield "sse_open", headers | ({"Content-Encoding": "gzip"} if breaks == "gzip" else {})
    yield ("role",)
    limit = sim.n if asked.most is None else min(sim.n, asked.most)
    for number in range(limit):
        if breaks and number == sim.after and breaks not in WHOLE | BEHIND:
            yield from _break(breaks, sim.long)
            if breaks not in GOES_ON:
                return
        spread = _spread(draw, sim.jit)
        yield "sleep", (sim.ttft if number == 0 else sim.gap) * spread
        yield "delta", _text(draw, number, sim.size, wide=breaks == "split")
    if breaks and sim.after >= limit and breaks not in WHOLE | BEHIND:
        yield from _break(breaks, sim.long)
    yield "finish", "stop" if limit == sim.n else "length"
    if breaks.startswith("late-"):
        yield (("rst",) if breaks == "late-reset" else ("stall",))
        return
    if asked.usage:
        yield "usage", asked.prompt_tokens, limit
    if breaks != "nodone":
        yield ("done",)
    if breaks == "done-stall":
        yield ("stall",)


def _told(status: int) -> Mapping[str, object]:
    """The body of a refusal, with the words that providers use."""
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {"message": "as asked", "type": kind, "param": None, "code": None}


def _break(kind: str, long: int) -> Iterator[Operation]:
    if kind in EVENTS:
        yield from (_raw(b"data: %b\n\n" % EVENTS[kind]), ("fin",))
        return
    if kind in TOO_LONG:
        yield from (_raw(_too_long(kind, long)), ("fin",))
        return
    ways: dict[str, Sequence[Operation]] = {
        "stall": [("stall",)],
        "reset": [("rst",)],
        "fin": [("fin",)],
        "truncate": [_raw(b'data: {"choices":[{"del'), ("truncate",)],
        "filter": [("finish", "content_filter"), ("done",)],
        "errorevent": [
            ("error_event", {"message": "as asked", "type": "server_error", "code": 500}),
            ("fin",),
        ],
        "comments": [("repeat", LONGEST, [("comment",), ("sleep", EVERY_MS)])],
        "roles": [("repeat", LONGEST, [("role",), ("sleep", EVERY_MS)])],
        "flood": [("repeat", LONGEST, [("delta", "flood ")])],
        "pause": [("sleep", PAUSE_MS)],
    }
    yield from ways[kind]


def _raw(data: bytes) -> Operation:
    return "raw", base64.b64encode(data).decode()


def _too_long(kind: str, long: int) -> bytes:
    """So many bytes: of a line, of two data lines of one event, or of a line that does not end."""
    if kind == "longevent":
        return 2 * (b"data: " + b"x" * (long // 2) + b"\n") + b"\n"
    return b"data: ".ljust(long, b"x") + (b"\n\n" if kind == "longline" else b"")


def _spread(draw: random.Random, sigma: float) -> float:
    """Log-normal around 1. Built on `random()` alone: of the others Python promises no equal draws."""
    u, v = 1.0 - draw.random(), draw.random()
    return math.exp(sigma * math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)) if sigma else 1.0


def _text(draw: random.Random, number: int, size: int, *, wide: bool) -> str:
    start = ("é€😀 " if wide else "") + f"{number} "
    length = max(size - len(start.encode()), 0)
    return start + "".join(_LETTERS[int(draw.random() * 26)] for _ in range(length))
