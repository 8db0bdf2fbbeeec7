"""Rows P: everything that can go wrong with a provider, on a real wire, before and behind the first token.

All cases are played at the same time, when the first test asks for one; the tests look at what was seen.
Long because one table holds all cases.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from _pytest.mark import ParameterSet

from integration.clocks import Clocks
from integration.covered import Measured
from integration.subject.provider import (
    ANSWER_BYTES,
    ATTEMPTS,
    CONNECT_MS,
    EVENT_BYTES,
    FIRST_TOKEN_MS,
    HELLO,
    INTER_CHUNK_MS,
    SERVED,
    SETTINGS,
    TOTAL_MS,
    Attempt,
    Case,
    Played,
    Results,
    Seen,
    Via,
    assert_failed,
    assert_served,
    between,
    play,
)
from integration.timing import MS
from integration.upstream import Script

CASES: list[Case] = []

MAIN = ("main", "done")
BACK = ("back", "done")
CLOSED = ("main", "peer")
"""The service ended this request itself, before the provider had."""
OK: Attempt = ("main", "ok", 2)
SPARE: Attempt = ("back", "ok", 2)


def case(
    name: str,
    *scripts: Script,
    via: Via = "one",
    waits: bool = False,
    expect: tuple[object, ...] = (),
    chat: dict[str, object] | None = None,
) -> ParameterSet:
    """Has it played; the parameters of its test are its name and what is expected."""
    CASES.append(Case(name, scripts, via, chat or {}, waits))
    return pytest.param(name, *expect, id=name.partition("-")[2])


@pytest.fixture(scope="module")
def played(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    with between(measured, tmp_path_factory.mktemp("provider"), "provider", SETTINGS) as where:
        yield anyio.run(play, where, CASES)


def status(code: int, retry_after: str | None = None, **headers: str) -> Script:
    """A refusal."""
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return [["status", code, headers, {"error": {"message": "planted", "type": "planted"}}]]


def raw(data: bytes) -> list[Any]:
    return ["raw", base64.b64encode(data).decode()]


def event(content: str | None = None, **more: object) -> bytes:
    """One event with a text, or with other members, as bytes."""
    choices = [] if content is None else [{"index": 0, "delta": {"content": content}, "finish_reason": None}]
    return b"data: " + json.dumps({"choices": choices, **more}, ensure_ascii=False).encode() + b"\n\n"


def for_ever(*operations: list[Any]) -> list[Any]:
    return ["repeat", 100_000, list(operations)]


def failed(code: str, tokens: int = 0, *, times: int = 1, by: str = "main") -> list[Attempt]:
    """Attempts that ended with this code."""
    return [(by, code, tokens)] * times


def assert_soon_closed(played: Played) -> None:
    """The provider saw the end of its connection when the client was told.

    The service closes it first; a second is for a machine that has other things to do.
    """
    for seen in played.both:
        [request] = seen.requests
        assert request["peer_closed_at_ns"] - seen.told_ns < 1000 * MS * 1e9


# Before the first token: not reached, refused


@pytest.mark.parametrize(
    ("name", "by"),
    [
        case("P1-refused", via="dead", expect=("dead",)),
        case("P1-unknown_name", via="dns", expect=("dns",)),
    ],
)
def test_P1_not_reached(played: Results, name: str, by: str) -> None:
    """Nobody listens, or nobody has that name: tried twice, `provider_unavailable`."""
    attempts = failed("provider_unavailable", times=ATTEMPTS, by=by)

    assert_failed(played[name], "provider_unavailable", asked=[], attempts=attempts)
    for seen in played[name].both:
        assert seen.row["duration_ms"] < 1.75 * CONNECT_MS * ATTEMPTS


@pytest.mark.parametrize(
    ("name", "by"),
    [
        case("P1-unanswered", via="unanswered", waits=True, expect=("unanswered",)),
        case("P1-no_tls", via="tls", waits=True, expect=("tls",)),
    ],
)
def test_P1_no_answer_to_a_connect(played: Results, clocks: Clocks, name: str, by: str) -> None:
    """Neither the connection nor its TLS may take longer than the connect timeout, at each attempt."""
    attempts = failed("provider_unavailable", times=ATTEMPTS, by=by)

    assert_failed(played[name], "provider_unavailable", asked=[], attempts=attempts)
    for seen in played[name].both:
        clocks.fired("connect, twice", CONNECT_MS * ATTEMPTS, seen.row["duration_ms"])


@pytest.mark.parametrize("name", [case("P2-401", status(401)), case("P2-403", status(403))])
def test_P2_key_refused(played: Results, name: str) -> None:
    """Asked once: the same key would be refused again."""
    assert_failed(played[name], "provider_auth", asked=[MAIN], attempts=failed("provider_auth"))


@pytest.mark.parametrize(
    "name", [case("P2-401-next", status(401), via="two"), case("P2-403-next", status(403), via="two")]
)
def test_P2_key_refused_the_next_candidate_serves(played: Results, name: str) -> None:
    """It has a key of its own."""
    assert_served(played[name], asked=[MAIN, BACK], attempts=[*failed("provider_auth"), SPARE])


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"
FUTURE = "Wed, 21 Oct 2099 07:28:00 GMT"


@pytest.mark.parametrize(
    ("name", "wait_ms"),
    [
        case("P3-short", status(429, "1"), waits=True, expect=(1000,)),
        case("P3-at_once", status(429, "0"), expect=(0,)),
        case("P3-date_that_has_passed", status(429, PAST), expect=(0,)),
    ],
)
def test_P3_short_retry_after_is_waited_for(played: Results, name: str, wait_ms: int) -> None:
    """The same candidate is asked again, not before it wishes."""
    limited = failed("provider_rate_limited")

    assert_served(played[name], asked=[MAIN, MAIN], attempts=[*limited, OK])
    for seen in played[name].both:
        first, second = seen.requests
        assert second["received_at_ns"] - first["received_at_ns"] >= wait_ms * 1_000_000


@pytest.mark.parametrize(
    "name",
    [
        case("P3-long-next", status(429, "30"), via="two"),
        case("P3-none-next", status(429), via="two"),
        case("P3-date_to_come-next", status(429, FUTURE), via="two"),
        case("P3-unreadable-next", status(429, "soon"), via="two"),
    ],
)
def test_P3_else_the_next_candidate_serves(played: Results, name: str) -> None:
    """It is asked at once when the first wants a long pause, or does not say how long."""
    limited = failed("provider_rate_limited")

    assert_served(played[name], asked=[MAIN, BACK], attempts=[*limited, SPARE])
    for seen in played[name].both:
        first, second = seen.requests
        assert second["received_at_ns"] - first["received_at_ns"] < 1000 * MS * 1e9


@pytest.mark.parametrize("name", [case("P3-twice-next", *[status(429, "0")] * 2, via="two")])
def test_P3_short_twice_then_the_next_candidate_serves(played: Results, name: str) -> None:
    """A candidate has two attempts, and no third."""
    limited = failed("provider_rate_limited", times=2)

    assert_served(played[name], asked=[MAIN, MAIN, BACK], attempts=[*limited, SPARE])


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("name", "times", "retry_after_ms"),
    [
        case("P3-short-last", *[status(429, "0")] * 2, expect=(2, 1000)),
        case("P3-long-last", status(429, "30"), expect=(1, 30_000)),
        case("P3-date_to_come-last", status(429, FUTURE), expect=(1, DAY_MS)),
        case("P3-none-last", status(429), expect=(1, 1000)),
        case("P3-408-last", status(408), expect=(1, 1000)),
        case("P3-409-last", status(409), expect=(1, 1000)),
    ],
)
def test_P3_without_another_candidate_it_is_limited(
    played: Results, name: str, times: int, retry_after_ms: int
) -> None:
    """`provider_rate_limited`, after one attempt or two; the provider's wish is handed on, up to a day."""
    limited = failed("provider_rate_limited", times=times)

    assert_failed(played[name], "provider_rate_limited", asked=[MAIN] * times, attempts=limited)
    for seen in played[name].both:
        assert seen.end["retry_after_ms"] == retry_after_ms
    assert played[name].http.headers["retry-after"] == str(retry_after_ms // 1000)


@pytest.mark.parametrize("name", [case(f"P4-{code}-once", status(code)) for code in (500, 502, 503)])
def test_P4_failure_once(played: Results, name: str) -> None:
    """The second attempt serves."""
    assert_served(played[name], asked=[MAIN, MAIN], attempts=[*failed("provider_unavailable"), OK])


@pytest.mark.parametrize("name", [case(f"P4-{code}", *[status(code)] * 2) for code in (500, 502, 503)])
def test_P4_failure_always(played: Results, name: str) -> None:
    """Two attempts, no third."""
    attempts = failed("provider_unavailable", times=2)

    assert_failed(played[name], "provider_unavailable", asked=[MAIN, MAIN], attempts=attempts)


@pytest.mark.parametrize(
    "name",
    [
        *(case(f"P5-{code}", status(code), via="two") for code in (400, 404, 422)),
        # It keeps the method, so that who followed it would be served.
        case("P5-307", status(307, Location="/v1/chat/completions"), via="two"),
    ],
)
def test_P5_request_refused(played: Results, name: str) -> None:
    """Nobody else is asked: they would refuse it, too. A redirect is not followed."""
    attempts = failed("provider_bad_request")

    assert_failed(played[name], "provider_bad_request", asked=[MAIN], attempts=attempts)


@pytest.mark.parametrize(
    ("name", "asked", "attempts"),
    [
        case("P20-dead", via="spare", expect=([BACK], failed("provider_unavailable", times=2, by="dead"))),
        case(
            "P20-503",
            *[status(503)] * 2,
            via="two",
            expect=([MAIN, MAIN, BACK], failed("provider_unavailable", times=2)),
        ),
    ],
)
def test_P20_the_second_candidate_serves(
    played: Results, name: str, asked: list[tuple[str, str]], attempts: list[Attempt]
) -> None:
    """`provider` is the second, and the attempts of both are stored."""
    assert_served(played[name], asked=asked, attempts=[*attempts, SPARE])


@pytest.mark.parametrize("name", [case("P20-both", *[status(503)] * 4, via="two")])
def test_P20_both_fail(played: Results, name: str) -> None:
    """Two attempts each, and the code of the last."""
    attempts = failed("provider_unavailable", times=2) + failed("provider_unavailable", times=2, by="back")

    assert_failed(played[name], "provider_unavailable", asked=[MAIN, MAIN, BACK, BACK], attempts=attempts)


# Clocks


COMMENTS = for_ever(["comment"], ["sleep", 100])
ROLES = for_ever(["role"], ["sleep", 100])


@pytest.mark.parametrize(
    "name",
    [
        case("P6-no_headers", [["stall"]], via="two", waits=True),
        case("P6-headers", [["sse_open", {}], ["stall"]], via="two", waits=True),
        case("P6-comments", [["sse_open", {}], COMMENTS], via="two", waits=True),
        case("P6-roles", [ROLES], via="two", waits=True),
    ],
)
def test_P6_no_first_token(played: Results, clocks: Clocks, name: str) -> None:
    """Whatever comes but content resets nothing; the clock is the run's, so nobody else is asked."""
    attempts = failed("first_token_timeout")

    assert_failed(played[name], "first_token_timeout", asked=[CLOSED], attempts=attempts)
    assert_soon_closed(played[name])
    for seen in played[name].both:
        assert seen.end["limit_ms"] == FIRST_TOKEN_MS
        clocks.fired("first_token_timeout", FIRST_TOKEN_MS, seen.end["elapsed_ms"])


@pytest.mark.parametrize(
    "name",
    [
        case("P7-stall", [*HELLO, ["stall"]], via="two", waits=True),
        case("P7-comments", [*HELLO, COMMENTS], via="two", waits=True),
        case("P7-roles", [*HELLO, ROLES], via="two", waits=True),
    ],
)
def test_P7_no_next_token(played: Results, clocks: Clocks, name: str) -> None:
    """The partial text is told and stored; nothing is asked a second time."""
    attempts = failed("inter_chunk_timeout", 2)

    assert_failed(played[name], "inter_chunk_timeout", asked=[CLOSED], attempts=attempts, text="Hello")
    assert_soon_closed(played[name])
    for seen in played[name].both:
        assert seen.end["limit_ms"] == INTER_CHUNK_MS
        clocks.fired("inter_chunk_timeout", INTER_CHUNK_MS, seen.end["elapsed_ms"])


@pytest.mark.parametrize(
    "name", [case("P8-slow", [for_ever(["delta", "slow "], ["sleep", 300])], waits=True)]
)
def test_P8_slow_and_steady(played: Results, clocks: Clocks, name: str) -> None:
    """Each token comes in time, the answer does not."""

    def attempts(seen: Seen) -> list[Attempt]:
        return failed("deadline_exceeded", len(seen.partial) // 5)

    assert_failed(played[name], "deadline_exceeded", asked=[CLOSED], attempts=attempts, text=None)
    assert_soon_closed(played[name])
    for seen in played[name].both:
        assert set(seen.partial.split(" ")) == {"slow", ""}
        assert seen.end["limit_ms"] == TOTAL_MS
        clocks.fired("deadline_exceeded", TOTAL_MS, seen.end["elapsed_ms"])


# The stream breaks off: lost, ended too early, without its mark


HALF = raw(b'data: {"choices":[{"del')
RST: Script = [["sleep", 100], ["rst"]]
"""A reset may overtake what was written before it: the pause is for that to be read."""


def before(name: str, ended: str, *scripts: Script) -> ParameterSet:
    """Twice the same, before the first token."""
    return case(f"{name}-before", *scripts * 2, expect=(ended,))


def assert_lost_before(played: Played, ended: str) -> None:
    """Tried twice, then `provider_unavailable`."""
    attempts = failed("provider_unavailable", times=2)
    assert_failed(played, "provider_unavailable", asked=[("main", ended)] * 2, attempts=attempts)


def assert_lost_after(played: Played, ended: str) -> None:
    """`provider_stream_interrupted` behind what was said; nobody is asked again, though there is somebody."""
    attempts = failed("provider_stream_interrupted", 2)
    asked = [("main", ended)]
    assert_failed(played, "provider_stream_interrupted", asked=asked, attempts=attempts, text="Hello")


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        before("P9-no_headers", "rst", [["rst"]]),
        before("P9-headers", "rst", [["role"], *RST]),
    ],
)
def test_P9_reset_before_a_token(played: Results, name: str, ended: str) -> None:
    """A connection that is reset instead of an answer, or behind its head."""
    assert_lost_before(played[name], ended)


@pytest.mark.parametrize("name", [case("P9-served", [["rst"]])])
def test_P9_reset_once(played: Results, name: str) -> None:
    """The second attempt serves."""
    asked = [("main", "rst"), MAIN]

    assert_served(played[name], asked=asked, attempts=[*failed("provider_unavailable"), OK])


@pytest.mark.parametrize("name", [case("P9-after", [*HELLO, *RST], via="two")])
def test_P9_reset_after_a_token(played: Results, name: str) -> None:
    """The partial text is kept, and nothing asked a second time."""
    assert_lost_after(played[name], "rst")


LAST: Script = [["sse_open", {"Connection": "close"}]]
"""Who ends a body and then the connection says so before. Else it may be asked again in between."""
ENDS: dict[str, Script] = {
    "clean": [["fin"]],
    "truncated": [["truncate"]],
    "inside_an_event": [HALF, ["fin"]],
    "truncated_event": [HALF, ["truncate"]],
}


@pytest.mark.parametrize(
    ("name", "ended"), [before(f"P10-{name}", "fin", [*LAST, ["role"], *end]) for name, end in ENDS.items()]
)
def test_P10_end_before_a_token(played: Results, name: str, ended: str) -> None:
    """An end without a reason is none, however clean it is."""
    assert_lost_before(played[name], ended)


@pytest.mark.parametrize(
    "name", [case(f"P10-{name}-after", [*LAST, *HELLO, *end], via="two") for name, end in ENDS.items()]
)
def test_P10_end_after_a_token(played: Results, name: str) -> None:
    """As a reset."""
    assert_lost_after(played[name], "fin")


WHOLE: Script = [*HELLO, ["finish", "stop"], ["usage", 7, 2]]
ENDS_WITHOUT_MARK: dict[str, tuple[Script, str]] = {
    # The end, and who ended it as the provider sees it.
    "end": ([["fin"]], "fin"),
    "truncated": ([["truncate"]], "fin"),
    "reset": (RST, "rst"),
    "silence": ([["stall"]], "peer"),
}


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        case(f"P11-{name}", [*LAST, *WHOLE, *end], expect=(ended,))
        for name, (end, ended) in ENDS_WITHOUT_MARK.items()
    ],
)
def test_P11_mark_is_missing(played: Results, name: str, ended: str) -> None:
    """The reason was there, so the answer is whole; a counter tells of the provider's fault."""
    assert_served(played[name], asked=[("main", ended)], attempts=[OK])
    assert played.counted["provider_missing_done_total"] == 2 * len(ENDS_WITHOUT_MARK)


# Not what was agreed upon


BAD: dict[str, bytes] = {
    "no_json": b'data: {"choices":[{"delta"\n\n',
    "no_object": b"data: [1]\n\n",
    "no_utf8": b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
}


def assert_protocol(played: Played, text: str = "") -> None:
    """`provider_protocol`, after one attempt, and the service has closed the connection."""
    attempts = failed("provider_protocol", 2 if text else 0)
    assert_failed(played, "provider_protocol", asked=[CLOSED], attempts=attempts, text=text)
    assert_soon_closed(played)


@pytest.mark.parametrize(
    "name", [case(f"P12-{name}-before", [["role"], raw(bad), ["stall"]]) for name, bad in BAD.items()]
)
def test_P12_malformed_before_a_token(played: Results, name: str) -> None:
    """Without another candidate that is the end."""
    assert_protocol(played[name])


@pytest.mark.parametrize("name", [case("P12-next", [["role"], raw(BAD["no_json"]), ["stall"]], via="two")])
def test_P12_malformed_before_a_token_the_next_candidate_serves(played: Results, name: str) -> None:
    """Who breaks the protocol is not asked again; somebody else is."""
    assert_served(played[name], asked=[CLOSED, BACK], attempts=[*failed("provider_protocol"), SPARE])


@pytest.mark.parametrize(
    "name", [case(f"P12-{name}-after", [*HELLO, raw(bad), ["stall"]], via="two") for name, bad in BAD.items()]
)
def test_P12_malformed_after_a_token(played: Results, name: str) -> None:
    """The partial text is kept; nobody else is asked."""
    assert_protocol(played[name], "Hello")


PAGE = "<!doctype html><title>Welcome</title>"


@pytest.mark.parametrize(
    "name",
    [
        case("P13-html", [["status", 200, {}, PAGE]]),
        case("P13-json", [["status", 200, {}, {"choices": []}]]),
    ],
)
def test_P13_no_stream(played: Results, name: str) -> None:
    """A 200 that is a page, or an answer of another kind."""
    attempts = failed("provider_protocol")

    assert_failed(played[name], "provider_protocol", asked=[MAIN], attempts=attempts)


LONG = event("x" * EVENT_BYTES)
MANY_LINES = b"".join(b"data: " + b" " * 1000 + b"\n" for _ in range(10))
LINE = for_ever(raw(b"x" * 65_536))
MOST_BYTES = 16 * 1024 * 1024
"""What the buffers of two processes on one machine may hold of a connection that nobody reads, with room."""
SOME_BYTES = 64 * 1024 * 1024
"""Growth that stays when everything is played; a bomb that goes off, or a line kept whole, is far above."""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        case("P14-event", [["role"], raw(LONG), ["stall"]], expect=("",)),
        case("P14-event-after", [*HELLO, raw(LONG), ["stall"]], via="two", expect=("Hello",)),
        case("P14-lines", [["role"], raw(MANY_LINES), ["stall"]], expect=("",)),
        case("P14-endless", [["role"], raw(b"data: "), LINE], expect=("",)),
        case("P14-endless-after", [*HELLO, raw(b": "), LINE], via="two", expect=("Hello",)),
    ],
)
def test_P14_too_long(played: Results, name: str, text: str) -> None:
    """An event above the limit, in one line or in many, and a line without an end: nothing is gathered."""
    assert_protocol(played[name], text)
    for seen in played[name].both:
        [request] = seen.requests
        assert request["bytes"] < MOST_BYTES
    assert played.grown_bytes < SOME_BYTES


def gzip_bomb() -> Script:
    """Half a GiB of zeros in half a MiB: each flush lets the same MiB follow again."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1024 * 1024)
    first, again = (packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return [["sse_open", {"Content-Encoding": "gzip"}], raw(first), ["repeat", 512, [raw(again)]], ["stall"]]


PLAIN_BUT_CALLED_COMPRESSED: Script = [["sse_open", {"Content-Encoding": "gzip"}], *SERVED, ["stall"]]


@pytest.mark.parametrize(
    "name", [case("P23-gzip", gzip_bomb()), case("P23-called", PLAIN_BUT_CALLED_COMPRESSED)]
)
def test_P23_compressed_bomb(played: Results, name: str) -> None:
    """No compressed body was asked for, so none is unpacked."""
    assert_protocol(played[name])
    assert played.grown_bytes < SOME_BYTES


# What the provider says of itself


def reported(kind: str, code: object = None) -> Script:
    return [["role"], ["error_event", {"message": "planted", "type": kind, "code": code}], ["stall"]]


@pytest.mark.parametrize(
    ("name", "code", "times"),
    [
        case(
            "P15-server_error",
            *[reported("server_error", 500)] * 2,
            expect=("provider_unavailable", 2),
        ),
        case("P15-rate_limit", reported("rate_limit_error"), expect=("provider_rate_limited", 1)),
        case("P15-status_429", reported("planted", 429), expect=("provider_rate_limited", 1)),
        case("P15-authentication", reported("authentication_error"), expect=("provider_auth", 1)),
        case("P15-bad_request", reported("invalid_request_error"), expect=("provider_bad_request", 1)),
    ],
)
def test_P15_error_event_before_a_token(played: Results, name: str, code: str, times: int) -> None:
    """As if the provider had answered with the status that its code or its type stands for."""
    assert_failed(played[name], code, asked=[CLOSED] * times, attempts=failed(code, times=times))


@pytest.mark.parametrize("name", [case("P15-after", [*HELLO, *reported("server_error", 500)[1:]], via="two")])
def test_P15_error_event_after_a_token(played: Results, name: str) -> None:
    """Whatever it says: the answer is interrupted."""
    assert_lost_after(played[name], "peer")


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        case("P16-tokens", [for_ever(["delta", "flood "])], chat={"max_tokens": 5}, expect=("flood " * 5, 5)),
        case("P16-bytes", [for_ever(["delta", "x" * 1000])], expect=("x" * ANSWER_BYTES, 4)),
    ],
)
def test_P16_answer_too_large(played: Results, name: str, text: str, tokens: int) -> None:
    """More tokens than asked for, or more bytes than an answer may have: the provider is cut off."""
    attempts = failed("response_too_large", tokens)

    assert_failed(played[name], "response_too_large", asked=[CLOSED], attempts=attempts, text=text)
    assert_soon_closed(played[name])


# What must not matter


PIECES = ["Grüße, ", "世界! ", "😀é\r\n"]


def events(line_end: bytes) -> Script:
    """The answer with its lines ended so; each event has two, or a line end cut in two would not matter."""
    end = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).encode()
    usage = event(usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9})
    whole = b"".join(map(event, PIECES)) + b"data: " + end + b"\n\n" + usage
    whole = whole.replace(b"data: {", b"data: {\ndata: ") + b"data: [DONE]\n\n"
    return [["chunk_split", 1], raw(whole.replace(b"\n", line_end))]


@pytest.mark.parametrize(
    "name",
    [
        case("P17-lf", events(b"\n")),
        case("P17-crlf", events(b"\r\n")),
        case("P17-cr", events(b"\r")),
        case(
            "P17-written_by_others",
            [["chunk_split", 1], ["comment"], *(["delta", piece] for piece in PIECES), *SERVED[-3:]],
        ),
    ],
)
def test_P17_every_byte_its_own_segment(played: Results, name: str) -> None:
    """Code points and line ends are cut in two; text and deltas are the same."""
    assert_served(played[name], "".join(PIECES), asked=[MAIN], attempts=[("main", "ok", len(PIECES))])
    assert [frame["delta"] for frame in played[name].ws.frames[1:-1]] == PIECES


def telling(**usage: object) -> Script:
    """An answer with this usage, in 17 characters."""
    deltas = [["delta", "Hello "], ["delta", "world again"]]
    told = [raw(event(usage=usage))] if usage else []
    return [*deltas, ["finish", "stop"], *told, ["done"]]


@pytest.mark.parametrize(
    "name",
    [
        case("P18-missing", telling()),
        case("P18-negative", telling(prompt_tokens=7, completion_tokens=-2, total_tokens=5)),
        case("P18-inconsistent", telling(prompt_tokens=7, completion_tokens=2, total_tokens=10)),
        case("P18-no_numbers", telling(prompt_tokens="7", completion_tokens=None)),
    ],
)
def test_P18_usage_of_no_use(played: Results, name: str) -> None:
    """It is estimated, by four characters a token, and says so."""
    assert_served(played[name], "Hello world again", asked=[MAIN], attempts=[OK], usage=(2, 5, True))


# Reasons of an end


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        case("end-length", [*HELLO, ["finish", "length"], *SERVED[-2:]], expect=("Hello", "length")),
        case("end-without_content", [["role"], *SERVED[-3:]], expect=("", "stop")),
    ],
)
def test_an_end_with_its_reason(played: Results, name: str, text: str, reason: str) -> None:
    """Cut at its length, or nothing at all: the provider has answered."""
    attempts = [("main", "ok", 2 if text else 0)]

    assert_served(played[name], text, asked=[MAIN], attempts=attempts, finish=reason)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        case("filter-before", [["role"], ["finish", "content_filter"], ["done"]], expect=("",)),
        case("filter-after", [*HELLO, ["finish", "content_filter"], ["done"]], expect=("Hello",)),
    ],
)
def test_a_content_filter_is_a_refusal(played: Results, name: str, text: str) -> None:
    """Of this request: the same one has no better fate, here or elsewhere."""
    attempts = failed("provider_bad_request", 2 if text else 0)

    assert_failed(played[name], "provider_bad_request", asked=[MAIN], attempts=attempts, text=text)
