"""Dialects of one's own: what a table means, and what is said about one that cannot be."""

from __future__ import annotations

import tomllib
from typing import Any, Final

import pytest

from load.drivers.dialects.reading import dialect, preset
from load.drivers.dialects.rules import Rule, parse, place
from load.drivers.dialects.speech import Meaning, Speech, mates_of
from load.drivers.dialects.template import template
from load.errors import UsageError
from load.metrics.events import Accepted, Beat, Cancelled, Delta, Errored, Finished, Garbled

GOOD: Final = """
wire = "http"
framing = "sse"
seq = "n"
[request]
path = "/talk"
body = { say = "{prompt}", room = "{session}" }
[[event]]
is = "accepted"
when = { kind = "hello" }
id = "who.id"
[[event]]
is = "delta"
when = { kind = "word" }
text = ["word", "words.0"]
[[event]]
is = "finished"
when = { kind = "bye" }
[[event]]
is = "errored"
when = { "@event" = "oops" }
code = "why"
[[event]]
is = "cancelled"
when = { kind = "stop" }
reason = "why"
partial = "so_far"
"""
STAMP: Final = (10, 20, 1)


def table(**changes: Any) -> dict[str, Any]:
    """The good table, changed; None takes a key away."""
    made = {**tomllib.loads(GOOD), **changes}
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize(
    ("raw", "event", "expected"),
    [
        (b'{"kind":"hello","who":{"id":"a7"},"n":1}', "", Accepted(10, "a7", 1)),
        (b'{"kind":"word","word":"hi","n":2}', "", Delta(10, 20, 2, "hi")),
        (b'{"kind":"word","words":["hi","ho"],"n":2}', "", Delta(10, 20, 2, "hi")),
        (b'{"kind":"word","word":"","n":2}', "", Beat(10, "empty", 2)),
        (b'{"kind":"word","n":2}', "", Garbled(10, 'no text in b\'{"kind":"word","n":2}\'')),
        (b'{"kind":"bye","n":"3"}', "", Finished(10)),
        (b'{"why":"busy"}', "oops", Errored(10, "busy")),
        (b'{"why":503}', "oops", Errored(10, "503")),
        (b"{}", "oops", Errored(10, "unknown")),
        (b'{"type":"ping","n":4}', "", Beat(10, "ping", 4)),
        (b"[1]", "news", Beat(10, "news")),
        (b'{"kind":["word"],"n":5}', "", Beat(10, "unknown", 5)),
        (b'{"kind":["word"],"why":1}', "oops", Errored(10, "1")),
        (b'{"kind":"stop","why":"api","so_far":"a"}', "", Cancelled(10, "api", partial="a")),
    ],
)
def test_messages_mean_what_the_table_says(raw: bytes, event: str, expected: object) -> None:
    """One message, one event."""
    spoken, message = Speech(dialect(table(), "t")), parse(raw, event)

    assert list(spoken.events_of(message, spoken.meaning(message), STAMP)) == [expected]


def test_the_id_of_an_event_is_a_place() -> None:
    """So are its name and its text."""
    message = parse(b'{"n":1}', "news", "e7")

    assert [place(path)(message) for path in ("@id", "@event", "@raw")] == ["e7", "news", '{"n":1}']


def test_what_marks_no_end_cannot_be_seen_cut() -> None:
    """Nor can errors that no rule knows."""
    spoken = dialect(table(seq=None, event=[{"is": "delta", "text": "word"}]), "t")

    assert spoken.not_checkable == ("order", "loss", "duplicate", "text", "cut_off", "error")


def test_a_message_may_mean_several_things() -> None:
    """Content and the reason of its end in one chunk."""
    raw = b'{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}'

    assert [rule.kind for rule in Speech(preset("openai-chat")).meaning(parse(raw)).rules] == [
        "delta",
        "finish",
    ]


@pytest.mark.parametrize(
    ("kinds", "mates"),
    [
        ([["delta"]], 1),
        ([[], ["delta"]], 1),
        ([["delta"], ["finished"]], 1),
        ([["delta"], ["finish"], ["finished"]], 1),
        ([["delta", "finish"], ["finished"]], 1),
        ([["delta"], []], 2),
        ([["delta"], ["usage"], ["finished"]], 2),
        ([["delta"], ["delta"]], 2),
        ([["delta"], [], ["delta"], ["delta"]], 3),
        ([["finished"]], 1),
    ],
)
def test_chunks_that_share_a_stamp(kinds: list[list[str]], mates: int) -> None:
    """What ends the answer behind the last chunk leaves the chunk its stamp."""
    assert (
        mates_of([Meaning.of(tuple(Rule(kind, (), (), {"text": ()}) for kind in of)) for of in kinds])
        == mates
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"wires": 1},
            "t: wires is unknown; there are cancel, end, event, first_seq, framing, name, opening,",
        ),
        ({"wire": "smoke"}, "t: wire = 'smoke'; must be one of http, websocket"),
        ({"framing": None}, "t: framing = None; must be one of sse, json_lines, text"),
        ({"end": "never"}, "t: end = 'never'; must be one of marker, body"),
        ({"request": None}, "t: request must be a table"),
        ({"request": {"url": "/"}}, "t: request: url is unknown; there are body, headers, method, path"),
        (
            {"request": {"body": {"m": "{promt}"}}},
            "t: request.body: {promt} is unknown; there are prompt, messages,",
        ),
        ({"event": []}, 't: no event with is = "delta"; name where the text of a chunk is'),
        ({"event": {}}, "t: event must be a list of tables, [[…event]], one for each kind of message"),
        (
            {"event": [{"is": "chunk"}]},
            "t: event 1: is = 'chunk'; must be one of accepted, delta, usage, finish,",
        ),
        ({"event": [{"is": "delta"}]}, "t: event 1: a delta needs text, the place of its characters"),
        (
            {"event": [{"is": "delta", "code": "x"}]},
            "t: event 1: code is unknown; there are has, is, kind, text, when",
        ),
        (
            {"event": [{"is": "delta", "text": 3}]},
            "t: event 1: text: must be a path like choices.0.delta.content,",
        ),
        (
            {"event": [{"is": "delta", "text": "a", "when": "b"}]},
            "t: event 1: when must be a table, path = value",
        ),
        (
            {"event": [{"is": "delta", "text": "a", "kind": "x"}]},
            "t: event 1: kind = 'x'; must be one of answer,",
        ),
        ({"opening": "hi"}, "t: opening must be a list of messages"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(changes: dict[str, Any], message: str) -> None:
    """Where, what, and what is possible."""
    with pytest.raises(UsageError) as caught:
        dialect(table(**changes), "t")

    assert str(caught.value)[: len(message)] == message
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_those_there_are() -> None:
    """A preset is found by its name."""
    with pytest.raises(
        UsageError, match=r"^protocol smoke: unknown; there are agentchat-sse, agentchat-ws, "
    ):
        preset("smoke")


def test_a_request_is_filled_in() -> None:
    """Whole values stay what they are; what is not given vanishes with its key."""
    shape = {"m": "{messages}", "t": "say {prompt}!", "s": "{session}", "l": ["{session}", "{model}"], "n": 1}
    values = {"messages": [{"role": "user"}], "prompt": "hi", "session": None, "model": "m7"}

    assert template(shape, "t").filled(values) == {
        "m": [{"role": "user"}],
        "t": "say hi!",
        "l": ["m7"],
        "n": 1,
    }
