"""From one recorded answer to a dialect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from load.drivers.dialects.framing import FRAMINGS
from load.drivers.dialects.guess import guess
from load.drivers.dialects.reading import preset, preset_names
from load.drivers.dialects.rules import Message, parse

FOLDER = Path(__file__).with_name("transcripts")
NUMBERLESS = "messages have no numbers: lost, doubled and reordered chunks are not checkable"
UNSEEN = 'no error was seen: look at the event with is = "errored"'


def recorded(name: str) -> list[Message]:
    raw = (FOLDER / f"{name}.txt").read_bytes()
    if name == "agentchat-ws":
        return [parse(line) for line in raw.splitlines()]
    return [one for one in FRAMINGS[preset(name).framing]().feed(raw) if one is not None]


def messages(*objects: dict[str, Any]) -> list[Message]:
    return [parse(json.dumps(one).encode()) for one in objects]


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "text"])
def test_the_chunks_of_known_dialects_are_found(name: str) -> None:
    """Where their text is, as the shipped tables say."""
    made = guess(recorded(name))
    places = {
        "agentchat-sse": "delta",
        "agentchat-ws": "delta",
        "anthropic-messages": "delta.text",
        "json-lines": "message.content",
        "openai-chat": "choices.0.delta.content",
        "openai-responses": "delta",
        "vercel-ui": "delta",
    }

    assert made is not None
    assert [rule["text"] for rule in made.events if rule["is"] == "delta"] == [places[name]]


@pytest.mark.parametrize(
    ("name", "seq"),
    [("agentchat-ws", ("seq", 1)), ("openai-responses", ("sequence_number", 0)), ("openai-chat", (None, 1))],
)
def test_numbers_are_found_where_every_message_has_one(name: str, seq: tuple[str | None, int]) -> None:
    """And from where they count."""
    made = guess(recorded(name))

    assert made is not None
    assert (made.seq, made.first_seq) == seq


def test_chunks_without_kinds_are_found_by_what_varies() -> None:
    """The end is a flag; the time of each line is no text."""
    at = "2026-11-25T12:00:0"
    made = guess(
        messages(*[{"at": f"{at}{n}Z", "w": w} for n, w in enumerate(("a", "b", "c"))], {"over": True})
    )

    assert made is not None
    assert made.events == [
        {"is": "delta", "has": ["w"], "text": "w"},
        {"is": "finished", "when": {"over": True}},
        {"is": "errored", "has": ["error"], "code": ["error.code", "error.type", "error", "code"]},
    ]
    assert made.doubts == [NUMBERLESS, UNSEEN]


def test_two_numbers_in_a_row_are_chance() -> None:
    """Three are numbers."""
    made = guess(messages({"n": 1, "w": "a"}, {"n": 2, "w": "b"}))

    assert made is not None
    assert made.seq is None


def test_an_answer_without_an_end_is_doubtful() -> None:
    """Then a cut cannot be told."""
    made = guess(messages({"w": "a"}, {"w": "b"}, {"w": "c"}))

    assert made is not None
    assert made.doubts[0] == "no message marks the end: whether an answer was cut off is not checkable"


@pytest.mark.parametrize("objects", [[], [{"reply": "all of it"}], [{"w": "a"}, {"w": "a"}]])
def test_what_is_no_answer_in_pieces_is_none(objects: list[dict[str, Any]]) -> None:
    """Nothing, one message, or messages that say the same."""
    assert guess(messages(*objects)) is None
