"""Every shipped dialect against a server that plays its transcript: whole, and with each break it shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from integration.instrument.agentchat import LIMITS, end, follow, turn
from integration.instrument.script_server import Peer, Script, ScriptServer, frame
from load.drivers.base import Driver
from load.drivers.dialects.reading import preset, preset_names
from load.drivers.mapped_http import MappedHttpDriver
from load.drivers.mapped_websocket import MappedWebSocketDriver
from load.metrics.timeline import Timeline

FOLDER: Final = Path(__file__).with_name("transcripts")
TEXT: Final = "Your café order is on its way 😀"
CONTENT: Final = {
    "sse": "text/event-stream",
    "json_lines": "application/x-ndjson",
    "text": "text/plain; charset=utf-8",
}
CLEAN: Final = ("DONE", None, dict[str, int]())
NUMBERED: Final = ("agentchat-sse", "agentchat-ws", "openai-responses")
MARKED: Final = tuple(name for name in preset_names() if name != "text")


def pieces(name: str) -> list[bytes]:
    """What the server sends, a message each; of plain text, a word each."""
    transcript = (FOLDER / f"{name}.txt").read_bytes()
    framing = preset(name).framing
    if framing == "sse":
        return [one + b"\n\n" for one in transcript.split(b"\n\n")[:-1]]
    if framing == "text":
        return [word + b" " for word in transcript.split(b" ")[:-1]] + [transcript.split(b" ")[-1]]
    return transcript.splitlines(keepends=framing == "json_lines")


def plays(name: str, sent: Sequence[bytes], then: str = "whole") -> Script:
    """One connection that sends these messages. then: `whole` ends the body, `fin` and `reset` cut it."""

    def websocket(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*map(frame, sent))
        getattr(peer, {"whole": "gone"}.get(then, then))()

    def http(peer: Peer) -> None:
        peer.request()
        kind = CONTENT[preset(name).framing].encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n"
        peer.send(head, *(b"%x\r\n%s\r\n" % (len(part), part) for part in sent))
        if then == "whole":
            peer.send(b"0\r\n\r\n")
        getattr(peer, {"whole": "gone"}.get(then, then))()

    return websocket if preset(name).wire == "websocket" else http


def ask(name: str, sent: Sequence[bytes], then: str = "whole", **fields: Any) -> Timeline:
    """One turn in the dialect of `name`."""
    dialect = preset(name)
    make: Callable[..., Driver] = MappedWebSocketDriver if dialect.wire == "websocket" else MappedHttpDriver
    with ScriptServer(plays(name, sent, then)) as server:
        driver = make(f"http://127.0.0.1:{server.port}", {}, LIMITS, dialect, {"model": "m"})
        timeline = follow(driver, turn(**fields))
        driver.close()
    return timeline


def test_every_preset_has_a_transcript() -> None:
    """One file for each shipped dialect, none for another."""
    assert tuple(sorted(file.stem for file in FOLDER.glob("*.txt"))) == preset_names()


@pytest.mark.parametrize("name", preset_names())
def test_a_whole_answer_is_done(name: str) -> None:
    """The transcript as it is: every chunk, the text, no break."""
    timeline = ask(name, pieces(name))

    assert end(timeline) == CLEAN
    assert timeline.text == TEXT
    assert "".join(delta.text for delta in timeline.deltas) == TEXT


@pytest.mark.parametrize("name", MARKED)
def test_chunks_are_counted_as_they_were_sent(name: str) -> None:
    """Eight chunks; roles, pings, comments, usage and markers are none."""
    assert len(ask(name, pieces(name)).deltas) == 8


@pytest.mark.parametrize("name", [name for name in MARKED if name != "vercel-ui"])
def test_tokens_come_from_usage(name: str) -> None:
    """The server's own figure, wherever it stands."""
    finished = ask(name, pieces(name)).finished

    assert finished is not None
    assert finished.tokens == 8


@pytest.mark.parametrize("name", preset_names())
def test_every_byte_its_own_segment_names_nothing(name: str) -> None:
    """However the bytes are split, the stream is the same."""
    sent = pieces(name)
    if preset(name).wire == "http":
        sent = [bytes([byte]) for byte in b"".join(sent)]

    assert end(ask(name, sent)) == CLEAN


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("then", ["fin", "reset"])
def test_a_cut_answer_is_cut_off(name: str, then: str) -> None:
    """The connection ends in the middle: by FIN or RST, and the body is not complete."""
    sent = pieces(name)

    assert end(ask(name, sent[: len(sent) // 2], then)) == ("CUT_OFF", then, {})


@pytest.mark.parametrize("name", [name for name in MARKED if name != "agentchat-ws"])
def test_a_complete_body_without_the_marker_is_cut_off(name: str) -> None:
    """Where the answer marks its end, an orderly end of the body alone is none."""
    sent = pieces(name)

    assert end(ask(name, sent[: len(sent) // 2]))[:2] == ("CUT_OFF", "fin")


@pytest.mark.parametrize("name", ["openai-chat", "vercel-ui", "anthropic-messages"])
def test_a_marker_without_a_reason_is_cut_off(name: str) -> None:
    """`[DONE]` and its like behind half an answer do not make it whole."""
    sent = pieces(name)

    assert end(ask(name, [*sent[:6], sent[-1]]))[:2] == ("CUT_OFF", "unfinished")


def test_a_reason_without_the_marker_is_done_with_a_flag() -> None:
    """`finish_reason`, then the end of the body."""
    timeline = ask("openai-chat", pieces("openai-chat")[:-1])

    assert end(timeline) == CLEAN
    assert timeline.flags == {"no_done_marker"}


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda sent, k: sent[:k] + sent[k + 1 :], "loss"),
        (lambda sent, k: sent[: k + 1] + sent[k:], "duplicate"),
        (lambda sent, k: [*sent[:k], sent[k + 1], sent[k], *sent[k + 2 :]], "order"),
    ],
    ids=["loss", "duplicate", "order"],
)
def test_numbers_show_what_is_missing(
    name: str, change: Callable[[list[bytes], int], list[bytes]], named: str
) -> None:
    """A chunk that vanishes, comes twice, or changes places with the next one."""
    assert end(ask(name, change(pieces(name), 6)))[:2] == ("BROKEN", named)


@pytest.mark.parametrize("name", ["agentchat-sse", "agentchat-ws"])
def test_a_changed_letter_shows_in_the_text(name: str) -> None:
    """The numbers are right, the joined chunks are not what the last message says."""
    sent = [one.replace(b'"delta":"on "', b'"delta":"in "') for one in pieces(name)]

    assert end(ask(name, sent))[:2] == ("BROKEN", "text")


@pytest.mark.parametrize("name", [name for name in preset_names() if not name.startswith("agentchat")])
def test_an_expected_text_replaces_what_the_wire_cannot_prove(name: str) -> None:
    """Without the server's own word, what the profile knows is compared."""
    assert end(ask(name, pieces(name), expected_text="Your tea is on its way"))[:2] == ("BROKEN", "text")


ERRORS: Final = {
    "agentchat-sse": (
        {"type": "error", "seq": 5, "execution_id": "exe_7", "error": {"code": "x1"}, "done": True}
    ),
    "agentchat-ws": (
        {"type": "error", "seq": 5, "execution_id": "exe_7", "error": {"code": "x1"}, "done": True}
    ),
    "anthropic-messages": {"type": "error", "error": {"type": "x1", "message": "busy"}},
    "json-lines": {"error": "x1"},
    "openai-chat": {"error": {"message": "busy", "type": "server_error", "code": "x1"}},
    "openai-responses": {"type": "error", "code": "x1", "message": "busy", "sequence_number": 5},
    "vercel-ui": {"type": "error", "errorText": "x1"},
}


@pytest.mark.parametrize("name", MARKED)
def test_an_error_in_the_stream_ends_it(name: str) -> None:
    """The server's own code, also where an end marker follows."""
    raw = json.dumps(ERRORS[name]).encode()
    framing = preset(name).framing
    message = {"sse": b"data: " + raw + b"\n\n", "json_lines": raw + b"\n", "json": raw}[framing]
    begun = 5 if name == "openai-responses" else 4
    marker = [pieces(name)[-1]] if name in ("openai-chat", "vercel-ui") else []

    assert end(ask(name, [*pieces(name)[:begun], message, *marker])) == ("ERROR", "x1", {})


@pytest.mark.parametrize("name", MARKED)
def test_a_message_that_is_no_json_breaks_the_text(name: str) -> None:
    """What cannot be read is named."""
    framing = preset(name).framing
    message = {"sse": b'data: {"type\n\n', "json_lines": b'{"type\n', "json": b'{"type'}[framing]
    sent = pieces(name)

    assert end(ask(name, [*sent[:5], message, *sent[5:]])) == ("BROKEN", "text", {"text": 1})


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("agentchat-sse", ()),
        ("agentchat-ws", ()),
        ("anthropic-messages", ("order", "loss", "duplicate", "text")),
        ("json-lines", ("order", "loss", "duplicate", "text")),
        ("openai-chat", ("order", "loss", "duplicate", "text")),
        ("openai-responses", ("text",)),
        ("text", ("order", "loss", "duplicate", "text", "error")),
        ("vercel-ui", ("order", "loss", "duplicate", "text")),
    ],
)
def test_what_a_wire_cannot_prove_is_said(name: str, lacks: tuple[str, ...]) -> None:
    """Not checkable, in the order in which the report shows it."""
    assert preset(name).not_checkable == lacks
