"""What a fault proxy plants between users and target a whole run names: each fault once, nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

import pytest

from integration.covered import Measured
from integration.proxied import Proxy, proxied
from integration.runs.locust import Ended, over
from integration.runs.locust import running as locust_running
from integration.subject.stage import running
from integration.timing import eventually

pytestmark = pytest.mark.holds

USERS: Final = 8
ROUNDS: Final = 4
"""So many connections get each fault, every time another chunk of their stream."""
SEED: Final = 5
CHUNKS: Final = 24
STALL_MS: Final = 1500
START_S: Final = 60.0

DECLARED: Final = "DONE"
BOTH: Final = {
    f"stall {STALL_MS}": DECLARED,
    "drop": "BROKEN(loss)",
    "duplicate": "BROKEN(duplicate)",
    "reorder": "BROKEN(order)",
    "corrupt": "BROKEN(text)",
    "cut rst": "CUT_OFF(reset)",
    "cut fin": "CUT_OFF(fin)",
    "late": "BROKEN(order)",
    "mute": "TIMED_OUT(gap)",
    "grow 10": DECLARED,
    "inject error": "ERROR(internal)",
    "inject badjson": "BROKEN(text)",
    "inject badutf8": "BROKEN(text)",
    "refuse 503": "REFUSED(503, capacity)",
    "refuse 403": "REFUSED(403, governance_denied)",
    "split 5": DECLARED,
    "coalesce 3": DECLARED,
}
OWN: Final = {
    "ws": {
        "close 1011": "CUT_OFF(1011)",
        "inject ping": DECLARED,
        "recode 1000 4999": "DONE, then closed with 4999",
    },
    "sse": {"close 1011": "CUT_OFF(end)", "inject comment": DECLARED},
}
CLEAN: Final = "clean"


def named(mode: str) -> dict[str, str]:
    """What the run must say of each item of the plan."""
    return {**BOTH, **OWN[mode], CLEAN: DECLARED}


def item_of(entry: dict[str, Any]) -> str:
    """The item of the plan behind an entry of the journal: without the number of the chunk that was drawn."""
    kind, *words = entry["operation"].split()
    if words[0] == str(entry["chunk"]):
        words.pop(0)
    return " ".join([kind, *words])


@dataclass(frozen=True, slots=True)
class Planted:
    """A run through a proxy, and the proxy's own account of it."""

    mode: str
    run: Ended
    journal: list[dict[str, Any]]
    connections: int

    def rows_of(self, item: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(Journal entry, row of the stream) for each time an item was planted in a stream."""
        rows = {row["execution_id"]: row for row in self.run.streams()}
        return [(entry, rows[entry["execution_id"]]) for entry in self.journal if item_of(entry) == item]


def ask_all(mode: str, plan: Iterable[str], measured: Measured, folder: Path, *arguments: str) -> Planted:
    """Each item of the plan on as many connections, in an order and on chunks that the seed decides."""
    items = list(plan)
    with (
        running(measured, f"{folder.name}-{mode}", {}, covered=False) as service,
        proxied(folder, "--mode", mode) as proxy,
    ):
        agent = service.agent(tokens=CHUNKS, first_token_ms=20, interval_ms=20)
        tokens = " ".join(service.person().token for _ in range(USERS))
        to = service.target.url.removeprefix("http://")
        proxy.ask("/plan", plan="; ".join(items), seed=SEED, chunks=CHUNKS, to=to)
        env = {"T": tokens, "PROXIED_AGENT": agent.id, "PROXIED_STREAMS": str(ROUNDS * len(items))}
        with started(proxy, mode, folder, env, *arguments) as locust:
            run = over(locust, folder / "reports")
        return Planted(mode, run, proxy.planted(), proxy.ask("/state")["counted"])


@pytest.fixture(scope="module", params=["ws", "sse"])
def planted(
    request: pytest.FixtureRequest, measured: Measured, tmp_path_factory: pytest.TempPathFactory
) -> Planted:
    """Every fault there is, in one run."""
    mode = str(request.param)
    return ask_all(mode, named(mode), measured, tmp_path_factory.mktemp("proxied"))


def started(
    proxy: Proxy, mode: str, folder: Path, env: Mapping[str, str], *arguments: str
) -> AbstractContextManager[Popen[str]]:
    """The users of `locustfiles/proxied.py` ask whatever is behind the proxy; the time only bounds it."""
    return locust_running(
        "--headless", "-f", "integration/runs/locustfiles/proxied.py", "--host", f"http://{proxy.address}",
        "--token-env", "T", "--scenario", mode, "--think-s", "0.2", "--seed", str(SEED),
        "-u", str(USERS), "-r", str(USERS), "-t", "80s", *arguments,
        reports=folder / "reports",
        env=env,
    )  # fmt: skip


def harmless(mode: str) -> list[str]:
    """What proxies and networks do, and no stream is worse for it."""
    return ["split 5", "coalesce 3", "inject ping" if mode == "ws" else "inject comment", *[CLEAN] * 4]


@pytest.mark.parametrize("mode", ["ws", "sse"])
def test_what_is_no_fault_is_not_named(mode: str, measured: Measured, tmp_path: Path) -> None:
    """Frames in several segments or several in one, pings and comments: the run passes."""
    done = ask_all(mode, harmless(mode), measured, tmp_path, "--objective", "good share >= 1")

    assert len(done.journal) == 3 * ROUNDS
    assert (done.run.reasons, done.run.code) == ([], 0)
    assert done.run.run["streams"]["by_terminal"]["DONE"] == done.connections == ROUNDS * 7


@pytest.mark.parametrize("mode", ["ws", "sse"])
def test_a_slow_target_misses_its_objectives(mode: str, measured: Measured, tmp_path: Path) -> None:
    """A late first text and a stall, each by its own figure; nothing was undeclared."""
    late_ms = 1_000
    objectives = (f"ttft_ms max < {late_ms}", f"max_gap_ms max < {STALL_MS}", "stalls count < 1")
    asked = [word for text in objectives for word in ("--objective", text)]
    plan = [f"delay {late_ms}", f"stall {STALL_MS}", *harmless(mode)]
    done = ask_all(mode, plan, measured, tmp_path, *asked)

    late = [row["ttft_us"] >= late_ms * 1000 for row in done.run.streams()]
    assert (sum(late), len(late)) == (ROUNDS, ROUNDS * len(plan))
    assert all(row["ttft_us"] >= late_ms * 1000 for _, row in done.rows_of(f"delay {late_ms}"))
    assert [result["decision"] for result in done.run.run["objectives"]] == ["MISSED"] * 3
    assert all(reason.startswith("OBJECTIVE ") for reason in done.run.reasons)
    assert done.run.run["streams"]["stalls"] == ROUNDS
    assert done.run.code == 3


def test_a_target_that_refuses_everybody_is_down(measured: Measured, tmp_path: Path) -> None:
    """Exit code 7 and when it was seen: after 20 connects in a row, of whichever users."""
    with (
        running(measured, "proxied-refused", {}, covered=False) as service,
        proxied(tmp_path, "--mode", "ws", "--to", service.target.url.removeprefix("http://")) as proxy,
    ):
        agent = service.agent()
        env = {"T": service.person().token, "PROXIED_AGENT": agent.id, "PROXIED_STREAMS": "100000"}
        with started(proxy, "ws", tmp_path, env) as locust:
            eventually(lambda: proxy.ask("/state")["counted"] > USERS, "more streams than users", START_S)
            proxy.ask("/fault", fault="refuse")
            run = over(locust, tmp_path / "reports")

    died = run.run["target"]["died"]
    assert re.fullmatch(r"20 connects in a row were refused, \d+\.\d s into the run", died)
    assert run.reasons[0] == f"TARGET_DOWN: {died}"
    assert run.code == 7


def test_all_of_the_plan_was_planted(planted: Planted) -> None:
    """Each item in as many connections as there were rounds; the rest of this file rests on it."""
    expected = {item: ROUNDS for item in named(planted.mode) if item != CLEAN}

    assert planted.connections == ROUNDS * len(named(planted.mode)), planted.run.out
    assert Counter(map(item_of, planted.journal)) == expected


def test_as_many_are_named_of_each_kind_as_were_planted(planted: Planted) -> None:
    """And no other: all streams that are left ended as declared."""
    expected: Counter[str] = Counter()
    for ended in named(planted.mode).values():
        expected[ended] += ROUNDS
    as_declared = expected.pop(DECLARED)

    found = planted.run.run["scenarios"]
    assert set(found) == {planted.mode}
    seen = {kind["seen"]: kind["count"] for kind in found[planted.mode]["unexpected"]}
    assert seen == expected
    assert found[planted.mode]["as_expected"] == as_declared


def test_every_break_is_counted_once(planted: Planted) -> None:
    """Over the whole run."""
    assert planted.run.run["streams"]["breaks"] == {
        "loss": ROUNDS,
        "duplicate": ROUNDS,
        "order": 2 * ROUNDS,
        "text": 3 * ROUNDS,
    }


def test_each_fault_is_named_in_the_stream_that_it_was_planted_in(planted: Planted) -> None:
    """The proxy and the run know a stream by the same id."""
    whole = {"refuse 503", "refuse 403", CLEAN}
    for item, ended in named(planted.mode).items():
        for _, row in planted.rows_of(item) if item not in whole else []:
            state, code = row["state"], row["code"]
            seen = state if code is None else f"{state}({code})"
            assert (item, seen) == (item, ended.partition(",")[0])


def test_a_stall_is_one_and_at_its_chunk(planted: Planted) -> None:
    """Its stream is complete, and no other stalled."""
    streams = planted.run.run["streams"]
    stalled = planted.rows_of(f"stall {STALL_MS}")

    assert streams["stalls"] == ROUNDS
    assert streams["stalled_ms"] >= ROUNDS * (STALL_MS - 1)
    for entry, row in stalled:
        long = [place for place, gap_us in enumerate(row["gaps_us"], 2) if gap_us > 1_000_000]
        assert long == [entry["chunk"]]
        assert row["gaps_us"][entry["chunk"] - 2] >= (STALL_MS - 1) * 1000


def test_growing_gaps_are_a_slope(planted: Planted) -> None:
    """The last four gaps are four times as long as the first, to nearly five."""
    slopes = [row["slope"] for _, row in planted.rows_of("grow 10")]

    assert len(slopes) == ROUNDS
    assert min(slopes) > 3


def test_merged_chunks_are_unresolved_and_all_there(planted: Planted) -> None:
    """Three chunks share a read, and with it their time of arrival."""
    for entry, row in planted.rows_of("coalesce 3"):
        first = entry["chunk"] - 1
        assert min(row["mates"][first : first + 3]) >= 3
        assert row["chunks"] == CHUNKS


def test_the_run_fails_for_the_broken_kinds_alone(planted: Planted) -> None:
    """Exit code 1, and one finding a kind."""
    kinds = set(named(planted.mode).values()) - {DECLARED}
    behaviour = [reason for reason in planted.run.reasons if reason.startswith("BEHAVIOUR ")]

    assert planted.run.code == 1
    assert len(behaviour) == len(kinds) == len(planted.run.reasons)
