"""Models named `sim:…`: the whole behaviour stands in the name, so load needs no set-up and no state.

    ttft, gap   ms before the first delta, and between two
    n, size     deltas, and bytes of each
    jit         sigma of a log-normal spread of ttft and gap
    seed        a number, or `msg`: the first word of the last user message
    tag         makes the name unique
    fail, p     `KIND` or `KIND@k`: after k deltas, with probability p

Kinds: a status · `once-` and a status (the first request of this name) · stall · comments · roles · reset
· fin · truncate · nodone · badjson · errorevent · flood · pause (100 ms) · split. A leading `fb/` or `brk/`
is ignored.
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
KINDS: Final = frozenset(
    (
        "stall",
        "comments",
        "roles",
        "reset",
        "fin",
        "truncate",
        "nodone",
        "badjson",
        "errorevent",
        "flood",
        "pause",
        "split",
    )
)
_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
CLOSING: Final = frozenset(("fin", "badjson", "errorevent"))
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
        yield "status", sim.status, {}, {"error": _told(sim.status)}
        return
    breaks = sim.fail if fails and sim.status is None else ""
    if breaks == "split":
        yield "chunk_split", 1
    # Who ends a body and then the connection says so before. Else it may be asked again in between.
    yield "sse_open", {"Connection": "close"} if breaks in CLOSING else {}
    yield ("role",)
    limit = sim.n if asked.most is None else min(sim.n, asked.most)
    for number in range(limit):
        if breaks and number == sim.after and breaks not in ("nodone", "split"):
            yield from _break(breaks)
            if breaks not in ("comments", "roles", "flood", "pause"):
                return
        spread = _spread(draw, sim.jit)
        yield "sleep", (sim.ttft if number == 0 else sim.gap) * spread
        yield "delta", _text(draw, number, sim.size, wide=breaks == "split")
    if breaks and sim.after >= limit and breaks not in ("nodone", "split"):
        yield from _break(breaks)
    yield "finish", "stop" if limit == sim.n else "length"
    if asked.usage:
        yield "usage", asked.prompt_tokens, limit
    if breaks != "nodone":
        yield ("done",)


def _told(status: int) -> Mapping[str, object]:
    """The body of a refusal, with the words that providers use."""
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {"message": "as asked", "type": kind, "param": None, "code": None}


def _break(kind: str) -> Iterator[Operation]:
    ways: dict[str, Sequence[Operation]] = {
        "stall": [("stall",)],
        "reset": [("rst",)],
        "fin": [("fin",)],
        "truncate": [("raw", base64.b64encode(b'data: {"choices":[{"del').decode()), ("truncate",)],
        "badjson": [("raw", base64.b64encode(b'data: {"choices":[{"delta"\n\n').decode()), ("fin",)],
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


def _spread(draw: random.Random, sigma: float) -> float:
    """Log-normal around 1. Built on `random()` alone: of the others Python promises no equal draws."""
    u, v = 1.0 - draw.random(), draw.random()
    return math.exp(sigma * math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)) if sigma else 1.0


def _text(draw: random.Random, number: int, size: int, *, wide: bool) -> str:
    start = ("é€😀 " if wide else "") + f"{number} "
    length = max(size - len(start.encode()), 0)
    return start + "".join(_LETTERS[int(draw.random() * 26)] for _ in range(length))
