"""What a plan counts: the frames of the service, whatever carries them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["begin", "chunk", "terminal", "close", "other", "raw"]
"""raw: bytes around the frames, such as the head of a response."""

KINDS: dict[str, Kind] = {"started": "begin", "delta": "chunk"}
TERMINAL = ("done", "cancelled", "error")
BAD_JSON = b'{"type": "delta", "delta": '
BAD_UTF8 = b'{"type": "delta", "delta": "\xff"}'


@dataclass(frozen=True, slots=True)
class Unit:
    """One frame. raw: its bytes as they came. fields: its JSON, empty if it has none. code: of a close."""

    raw: bytes
    kind: Kind = "other"
    fields: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0


class Codec(Protocol):
    """Takes frames apart and makes new ones."""

    sign: bytes
    """A sign of life that is no frame."""

    def units(self, data: bytes) -> Iterable[Unit]:
        """What these bytes completed."""

    def rest(self) -> bytes:
        """Bytes that have completed nothing yet."""

    def frame(self, text: bytes, fields: Mapping[str, Any]) -> bytes:
        """A frame of this text; `fields` are those it stands for."""

    def wrap(self, raw: bytes) -> bytes:
        """As it goes over the wire."""

    def ending(self, code: int) -> bytes:
        """What ends the connection's stream orderly, but too early."""


def unit_of(raw: bytes, text: bytes) -> Unit:
    """The unit of a frame with this text."""
    try:
        fields = json.loads(text)
    except ValueError:
        return Unit(raw)
    if not isinstance(fields, dict):
        return Unit(raw)
    kind = KINDS.get(str(fields.get("type")), "other")
    # An error without a run, such as `stream_busy`, ends nothing.
    if fields.get("type") in TERMINAL and fields.get("execution_id") is not None:
        kind = "terminal"
    return Unit(raw, kind, fields)


def encoded(fields: Mapping[str, Any]) -> bytes:
    """As compact as the service writes it."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def error_of(last: Mapping[str, Any], code: str) -> dict[str, Any]:
    """The error frame that follows this chunk."""
    problem = {
        "type": f"/problems/{code}",
        "title": "Planted",
        "status": 500,
        "code": code,
        "retryable": False,
        "detail": "planted by the proxy",
    }
    named = {name: last[name] for name in ("execution_id", "request_id") if name in last}
    return {
        "type": "error",
        "seq": last.get("seq", 0) + 1,
        **named,
        "error": problem,
        "fatal": True,
        "done": True,
    }


def corrupted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same chunk with one character changed: the first letter, else the first of any kind."""
    text = str(fields.get("delta", ""))
    place = next((i for i, letter in enumerate(text) if letter.isalpha()), 0)
    other = "y" if text[place : place + 1] == "x" else "x"
    return {**fields, "delta": text[:place] + other + text[place + 1 :]}


def segments(raw: bytes, count: int) -> list[bytes]:
    """Cut in `count`, or in its bytes where there are fewer; one cut goes through a character if it has
    one of several bytes."""
    size = len(raw)
    cuts = {size * i // count for i in range(1, min(count, size))} - {0}
    inside = next((i for i, byte in enumerate(raw) if i > 3 and byte & 0xC0 == 0x80), None)
    if inside is not None and cuts and inside not in cuts:
        cuts.remove(min(cuts, key=lambda cut: abs(cut - inside)))
        cuts.add(inside)
    borders = [0, *sorted(cuts), size]
    return [raw[start:stop] for start, stop in itertools.pairwise(borders)]
