"""load/target/probing.py and inside.py: error paths of an app that knows nothing of them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from coverage.parser import PythonParser

from integration.timing import PATIENCE_S, eventually
from load.configuration import read_configuration
from load.metrics.paths import Hit, PathPart
from load.target.config import ROOT, CoverageMode, TargetConfig, configured_target
from load.target.launch import Target, launch, measured_command
from load.target.parts import find_parts, load_part
from load.target.pathparts import find_path_parts, read_path_part

FOLDER = ROOT / "integration" / "threaded"
CONFIG = configured_target(read_configuration(FOLDER / "streamgauge.toml"))
LABELS = ("first", "second", "third", "fourth")
CLIENTS = 3
"""Of each label."""

EACH = 40
MANY = 1_000
LIMIT_MS = 500.0
"""As the app says."""


class Client:
    """One connection that sends one label."""

    def __init__(self, target: Target, label: str | None) -> None:
        address = urlsplit(target.url)
        self._http = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        self._headers = {"content-type": "application/json"}
        if label is not None:
            self._headers["x-load-scenario"] = label

    def __call__(self, method: str, path: str, body: object = None) -> int:
        self._http.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = self._http.getresponse()
        answer.read()
        return answer.status

    def chat(self, model: str) -> int:
        return self("POST", "/v1/chat/completions", {"model": model})

    def close(self) -> None:
        self._http.close()


def one(target: Target, label: str | None, method: str, path: str, times: int = 1) -> Counter[int]:
    """The statuses of so many requests on one connection."""
    client = Client(target, label)
    found = Counter(client(method, path) for _ in range(times))
    client.close()
    return found


def chats(target: Target, label: str | None, model: str, times: int = 1) -> Counter[int]:
    client = Client(target, label)
    found = Counter(client.chat(model) for _ in range(times))
    client.close()
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What the process left, and what its clients know."""

    part: PathPart
    collisions: int

    def hits(self, *wanted: str) -> Sequence[Hit]:
        """Of every site whose id contains all of these."""
        found = [hit for hit in self.part.hits if all(text in hit.site for text in wanted)]
        assert found, wanted
        return found

    def labels(self, *wanted: str) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for hit in self.hits(*wanted):
            counted[hit.label] += hit.count
        return dict(counted)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One lifetime in which everything is done at the same time by clients of several labels."""
    target = launch(CONFIG, tmp_path_factory.mktemp("threaded"), "load")
    try:
        with ThreadPoolExecutor(32) as pool:
            work = [
                *(
                    pool.submit(chats, target, label, "missing", EACH)
                    for label in LABELS
                    for _ in range(CLIENTS)
                ),
                *(pool.submit(one, target, f"many-{n}", "GET", "/patient", MANY // 4) for n in (1, 2, 1, 2)),
                *(pool.submit(chats, target, f"model-{m}", m, 2) for m in ("unbilled", "unaudited", "short")),
                *(pool.submit(one, target, "stuck", "GET", "/stuck") for _ in range(2)),
                pool.submit(chats, target, None, "missing", 3),
            ]
            statuses = sum((done.result() for done in work), Counter[int]())
        # A printer that two want at once.
        with ThreadPoolExecutor(8) as pool:
            printed = sum(
                pool.map(lambda n: one(target, "press", "POST", "/print", 10), range(8)), Counter[int]()
            )
        assert statuses[404] == len(LABELS) * CLIENTS * EACH + 3
        assert printed[409] > 0
    finally:
        target.stop()
    return Seen(read_path_part(target.part.with_name(target.part.name + ".paths.json")), printed[409])


def test_the_part_is_complete(seen: Seen) -> None:
    """Nothing of it failed, and all modules have their probes."""
    assert (seen.part.final, seen.part.probe_errors, seen.part.unhooked) == (True, 0, ())
    assert (seen.part.phase, seen.part.stopping_ns is not None) == ("load", True)
    assert {site.file for site in seen.part.sites} == {"threaded/app.py"}


def test_four_labels_at_once_are_told_apart(seen: Seen) -> None:
    """Synchronous endpoints run in threads, and carry the label of their request there."""
    assert seen.labels("complete::raise:domain:HTTPException") == {
        **dict.fromkeys(LABELS, CLIENTS * EACH),
        "-": 3,
    }
    assert {hit.code for hit in seen.hits("complete::raise")} == {"404"}


def test_a_thousand_requests_are_counted(seen: Seen) -> None:
    """Two labels on one path at the same time."""
    armed = Counter[str]()
    for one in seen.part.armed:
        if "patient" in one.site:
            armed[one.label] += one.count

    assert armed == {"many-1": MANY // 2, "many-2": MANY // 2}


def test_what_runs_after_the_answer_carries_its_label(seen: Seen) -> None:
    """A background task, in a thread of the pool."""
    assert seen.labels("bill::except:domain:PermissionError") == {"model-unbilled": 2}


def test_a_streamed_body_in_threads_carries_its_label(seen: Seen) -> None:
    """A synchronous generator is driven from one thread after the other."""
    assert seen.labels("words::except:domain:OutOfPaper") == {"model-short": 2}
    assert {hit.code for hit in seen.hits("words::except")} == {"out_of_paper"}


def test_a_thread_that_was_there_before_has_no_label(seen: Seen) -> None:
    """It is never guessed."""
    assert seen.labels("audit::raise:domain:KeyError") == {"-": 2}


def test_a_path_that_needs_two_requests_at_once(seen: Seen) -> None:
    """It was never reached with one request under way."""
    (hit,) = seen.hits("print_once::respond:http-4xx:409")

    assert (hit.count, hit.min_in_flight >= 2) == (seen.collisions, True)


def test_a_clock_that_fired_and_one_that_did_not(seen: Seen) -> None:
    """How late is known of the one, that it was set of the other."""
    (fired,) = seen.part.fired

    assert "stuck::timeout:fired:asyncio.timeout" in fired.site
    assert (fired.limit_ms, len(fired.elapsed_ms)) == (LIMIT_MS, 2)
    # The loop is busy with a thousand other requests; early it may never be.
    assert all(LIMIT_MS - 1 <= elapsed_ms < LIMIT_MS + 1000 * PATIENCE_S for elapsed_ms in fired.elapsed_ms)
    assert not [hit for hit in seen.part.hits if "patient::timeout:fired" in hit.site]


def test_the_first_hit_lies_within_the_lifetime(seen: Seen) -> None:
    """On the clock that all processes share."""
    assert seen.part.started_ns < min(hit.first_ns for hit in seen.part.hits)
    assert max(hit.first_ns for hit in seen.part.hits) < time.monotonic_ns()


def test_a_killed_process_leaves_what_it_had_counted(tmp_path: Path) -> None:
    """Up to its last save, and says that it is not all."""
    target = launch(replace(CONFIG, coverage="off"), tmp_path, "load")
    try:
        chats(target, "before", "missing", 3)
        (path,) = eventually(lambda: find_path_parts(tmp_path), "the first save")
        eventually(lambda: read_path_part(path).hits, "what was counted")
        os.kill(target.pid, signal.SIGKILL)
        eventually(target.death, "the death")
    finally:
        target.stop()
    part = read_path_part(path)

    assert (part.final, part.stopping_ns) == (False, None)
    assert [(hit.label, hit.count) for hit in part.hits if "raise" in hit.site] == [("before", 3)]


def test_without_probes_nothing_is_counted(tmp_path: Path) -> None:
    """And no part is left."""
    target = launch(replace(CONFIG, coverage="off", probes=False), tmp_path, "load")
    chats(target, "before", "missing")
    target.stop()

    assert find_path_parts(tmp_path) == ()


TOOL = """\
import asyncio, contextlib
from json import loads


class Door:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, tb):
        return (
            kind is KeyError
        )


def work(number):
    with Door():
        try:
            if number == 1:
                raise KeyError(
                    number,
                )
            elif number == 2:
                return
        except ValueError:
            pass
        else:
            last = number
        finally:
            global count
            count += 1


async def wait(limit):
    try:
        async with asyncio.timeout(limit):
            await asyncio.sleep(0.01)
            with contextlib.suppress(ValueError):
                loads("{")
    except TimeoutError:
        return None
    return limit


count = 0
for number in range(3):
    work(number)
asyncio.run(wait(0))
asyncio.run(wait(9))
"""


@pytest.mark.parametrize("mode", ["auto", "branch"])
def test_lines_are_recorded_as_without_probes(tmp_path: Path, mode: CoverageMode) -> None:
    """And so are the arcs from statement to statement, where they are."""
    (tmp_path / "tool.py").write_text(TOOL)
    parser = PythonParser(text=TOOL)
    parser.parse_source()
    recorded = []
    for probes in (False, True):
        config = TargetConfig("tool:none", tmp_path, coverage=mode, probes=probes)
        folder = tmp_path / str(probes)
        command = measured_command(config, folder, "integration", "tool")
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60, capture_output=True)
        (path,) = find_parts(folder)
        data = load_part(path).data
        assert data is not None
        # A statement of several lines need not begin to run on its first one.
        arcs = parser.translate_arcs(data.arcs("tool.py") or ())
        recorded.append((sorted(data.lines("tool.py") or ()), {arc for arc in arcs if arc[0] != arc[1]}))

    assert len(recorded[0][0]) > 30
    assert recorded[0] == recorded[1]
