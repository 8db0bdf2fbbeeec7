"""A dialect as data: which request asks for an answer, and what each incoming message means.

    name = "shop"
    wire = "http"                      # or "websocket"
    framing = "sse"                    # of a body: sse, json_lines, text; a WebSocket has one JSON a message
    end = "marker"                     # or "body": that the body is complete is the end itself

    [request]
    path = "/v1/chat/completions"
    body = { model = "{model}", stream = true, messages = "{messages}" }

    [[event]]
    is = "delta"                       # accepted delta usage finish finished errored cancelled
    when = { type = "chunk" }          # all of these values are equal …
    has = ["payload.text"]             # … and all of these are there, neither null nor empty
    text = "payload.text"              # fields of the event: where they are found

A delta without `when` and `has` is wherever its text is. A path is keys and list indexes joined by dots.
`@raw` is the message as text, `@event` and `@id` are those of a server-sent event. All rules that fit a
message speak; one that none fits is a sign of life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from load.drivers.dialects.rules import Rule, Value
from load.drivers.dialects.template import Template

WIRES: Final = ("http", "websocket")
FRAMINGS: Final = ("sse", "json_lines", "text")
ENDS: Final = ("marker", "body")
TERMINAL: Final = frozenset({"finished", "errored", "cancelled"})
CLOSING: Final = TERMINAL | {"finish"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire, a request and the rules, read and checked.

    seq: where messages have their number, None where they have none; first_seq: the first of them. stream:
    where a message names its stream. opening: messages sent on a new WebSocket. ready: what the peer says on
    it when it can be used. cancel: the message that asks for a cancel.
    """

    name: str
    wire: str
    framing: str
    end: str
    path: str
    method: str
    headers: Mapping[str, str]
    body: Template
    rules: tuple[Rule, ...]
    seq: Value | None = None
    first_seq: int = 1
    stream: Value | None = None
    opening: tuple[Template, ...] = ()
    ready: Rule | None = None
    cancel: Template | None = None
    subprotocols: tuple[str, ...] = ()

    def carrying(self, query: str, subprotocol: str) -> Dialect:
        """The same with a credential in its path or handshake; either may be empty."""
        path = f"{self.path}{'&' if '?' in self.path else '?'}{query}" if query else self.path
        offered = (*self.subprotocols, subprotocol) if subprotocol else self.subprotocols
        return replace(self, path=path, subprotocols=offered)

    @property
    def announces(self) -> bool:
        """Whether a message of its own says that the request was taken."""
        return any(rule.kind == "accepted" for rule in self.rules)

    @property
    def not_checkable(self) -> tuple[str, ...]:
        """Which breaks this wire cannot prove."""
        kinds = {rule.kind for rule in self.rules}
        lacks = []
        if self.seq is None:
            lacks += ["order", "loss", "duplicate"]
        if not any(rule.kind == "finished" and "text" in rule.fields for rule in self.rules):
            lacks.append("text")
        if "finished" not in kinds and "finish" not in kinds and self.end != "body":
            lacks.append("cut_off")
        if "errored" not in kinds:
            lacks.append("error")
        return tuple(lacks)

    @property
    def marks_twice(self) -> bool:
        """Whether a complete answer is announced before its terminal marker comes."""
        return any(rule.kind == "finish" for rule in self.rules)
