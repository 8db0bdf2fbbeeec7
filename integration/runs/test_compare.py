"""Two servers in one run: how a comparison ends, and that nothing of it is left however it does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from integration.plant import PLANTS, apply
from integration.repositories import commit, git, repository, worktrees
from integration.runs.locust import ROOT, Ended, environment, headless, over, running
from integration.timing import eventually
from load.target.refs import PREFIX, SETTLED_S
from load.verdict.comparison import BlockLine, decide_again, joined

START_S = 60.0
"""Two servers, a warm-up, and the first blocks."""
LONG = ("--base", "HEAD", "-t", "60s", "--seed", "5")
SHORT = ("--base", "HEAD", "-t", "6s", "--seed", "5", "--undecided", "warn")
BACKEND = Path("backend")
APP = BACKEND / "app.py"
SPEAKING = ROOT / "integration" / "speaking" / "streamgauge.toml"
BROKEN = 'raise RuntimeError("it cannot be imported")\n'


@dataclass(frozen=True, slots=True)
class Place:
    """A repository with the backend as it is, and where its runs leave what."""

    repository: Path
    temporary: Path
    reports: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--app-dir", str(self.repository))

    @property
    def env(self) -> dict[str, str]:
        """Everything that is started inherits it, and is known by it."""
        return {"TMPDIR": str(self.temporary)}

    def run(self, *args: str) -> Ended:
        """A comparison to its end; nothing of it is left."""
        ended = headless(*self.arguments, *args, reports=self.reports, env=self.env)
        self.check_clean()
        return ended

    @contextmanager
    def started(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        with running("--headless", *self.arguments, *args, reports=self.reports, env=self.env) as locust:
            yield locust

    def change(self, file: Path, text: str) -> None:
        """Adds it to what is there."""
        with (self.repository / file).open("a") as source:
            source.write(text)

    def processes(self) -> list[psutil.Process]:
        """Whatever runs of it."""
        return [one for one in psutil.process_iter() if self._is_ours(one)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get("TMPDIR") == str(self.temporary))
        except psutil.Error:  # it has ended, or is none of ours
            return False

    def server(self, arm: str) -> psutil.Process:
        """That of an arm, once blocks are written."""
        self.await_blocks(2)
        (found,) = [
            one
            for one in self.processes()
            if one.cwd().startswith(str(self.temporary / PREFIX)) and Path(one.cwd()).name == arm
        ]
        return found

    def await_blocks(self, count: int) -> None:
        """So many blocks of the run that goes on are over."""

        def written() -> bool:
            return any(path.read_text().count("\n") >= count for path in self.reports.glob("*/blocks.jsonl"))

        eventually(written, f"{count} blocks", START_S)

    def check_clean(self) -> None:
        """No tree, no process, and nothing that git remembers."""
        assert [one.cmdline() for one in self.processes()] == []
        assert list(self.temporary.glob(f"{PREFIX}*")) == []
        assert worktrees(self.repository) == [str(self.repository)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    tree = repository(tmp_path / "subject", {".gitignore": "__pycache__/\n"})
    shutil.copytree(ROOT / BACKEND, tree / BACKEND, ignore=shutil.ignore_patterns("__pycache__"))
    commit(tree, {})
    (tmp_path / "temporary").mkdir()
    return Place(tree, tmp_path / "temporary", tmp_path / "reports")


def blocks(run: Ended) -> list[BlockLine]:
    """The lines of `blocks.jsonl`."""
    lines = (run.folder / "blocks.jsonl").read_text().splitlines()
    return [BlockLine.from_json(json.loads(line)) for line in lines]


def codes(run: Ended) -> tuple[int, Any]:
    """As the process ended, and as the report says."""
    return run.code, run.run["verdict"]["exit_code"]


# -- it cannot begin


@pytest.mark.holds
@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("--base", "nowhere"), "USAGE: --base nowhere: no such commit in {repository}"),
        (("--base", ""), "USAGE: argument --base: must not be empty"),
        (
            ("--base", "HEAD", "--processes", "2"),
            "USAGE: --base compares two servers from one generator; drop --processes",
        ),
        (
            ("--base", "HEAD", "--master"),
            "USAGE: --base compares two servers from one generator; drop --master",
        ),
        (
            ("--base", "HEAD", "--scenario", "chat_http"),
            "USAGE: --scenario chat_http: a comparison speaks chat_ws alone",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(given: tuple[str, ...], line: str, place: Place) -> None:
    """Nothing is started, no folder is left."""
    run = place.run(*given)

    assert run.lines == [line.format(repository=place.repository)]
    assert run.code == 2
    assert not place.reports.exists() or list(place.reports.iterdir()) == []


@pytest.mark.holds
def test_a_base_that_does_not_start_is_unusable(place: Place) -> None:
    """The base is a part of the instrument; the line names its log, which is kept."""
    source = (place.repository / APP).read_text()
    broken = commit(place.repository, {str(APP): source + BROKEN})
    commit(place.repository, {str(APP): source})

    run = place.run("--base", broken, "-t", "6s")

    (line,) = run.lines
    assert run.code == 6
    assert line.startswith("INVALID: base_unusable: the set-up command `")
    assert line.endswith("RuntimeError: it cannot be imported")
    (log,) = [word.rstrip(":") for word in line.split() if word.endswith(".log:")]
    assert "it cannot be imported" in Path(log).read_text()


@pytest.mark.holds
def test_a_head_that_does_not_start_is_down(place: Place) -> None:
    """An edit of the working tree, that nobody has committed."""
    place.change(APP, BROKEN)

    run = place.run(*SHORT)

    (line,) = run.lines
    assert run.code == 7
    assert line.startswith("TARGET_DOWN: head: the set-up command `")
    assert line.endswith("RuntimeError: it cannot be imported")


@pytest.mark.holds
@pytest.mark.parametrize(
    ("arm", "code", "start"), [("base", 6, "INVALID: base_unusable: "), ("head", 7, "TARGET_DOWN: head: ")]
)
def test_an_arm_that_speaks_otherwise_is_told_before_the_first_block(
    arm: str, code: int, start: str, place: Place
) -> None:
    """Its deltas have another name."""
    frames = BACKEND / "runs" / "frames.py"
    good = (place.repository / frames).read_text()
    other = good.replace('{"type":"delta"', '{"type":"token"')
    assert other != good
    if arm == "base":
        commit(place.repository, {str(frames): other})
        other = good
    (place.repository / frames).write_text(other)

    run = place.run(*SHORT)

    (line,) = run.lines
    assert run.code == code
    assert line.startswith(f"{start}it does not speak the protocol: a first stream ended ")


# -- an arm dies


@pytest.mark.holds
@pytest.mark.parametrize(
    ("arm", "code", "reason"),
    [
        ("base", 6, "INVALID: base_unusable: the target died "),
        ("head", 7, "TARGET_DOWN: head: the target died "),
    ],
)
def test_an_arm_that_dies_in_a_block_ends_the_run(arm: str, code: int, reason: str, place: Place) -> None:
    """Everything until then is written; that its streams were cut is no finding of its own."""
    with place.started(*LONG) as locust:
        place.server(arm).send_signal(signal.SIGKILL)
        run = over(locust, place.reports)

    place.check_clean()
    assert "Traceback" not in run.out
    assert codes(run) == (code, code)
    assert run.reasons[0].startswith(reason)
    assert run.run["comparison"]["arms"]["base"].startswith("HEAD (")


# -- it is interrupted


@pytest.mark.holds
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_under_load_leaves_nothing(number: signal.Signals, place: Place) -> None:
    """130, with the blocks that were over."""
    with place.started(*LONG) as locust:
        place.await_blocks(4)
        locust.send_signal(number)
        run = over(locust, place.reports)

    place.check_clean()
    assert "Traceback" not in run.out
    assert codes(run) == (130, 130)
    assert run.report[0].startswith("INTERRUPTED  stopped by a signal")
    assert run.reasons == ["INTERRUPTED: stopped by a signal before its end"]
    assert len(blocks(run)) >= 4


@pytest.mark.holds
@pytest.mark.parametrize("life", [1, 2])
def test_a_signal_while_servers_start_leaves_nothing(life: int, place: Place) -> None:
    """Before the first block, and between two lifetimes."""

    def starting() -> bool:
        return any(place.reports.glob(f"*/arms/*/{life}"))

    with place.started(*LONG) as locust:
        eventually(starting, "a start", START_S)
        locust.send_signal(signal.SIGINT)
        run = over(locust, place.reports)

    place.check_clean()
    assert "Traceback" not in run.out
    assert run.code == 130


@pytest.mark.holds
def test_what_a_killed_run_leaves_is_removed_by_the_next(place: Place) -> None:
    """Its servers end by themselves, when their standard input does."""
    with place.started(*LONG) as locust:
        place.await_blocks(2)
        locust.kill()
        locust.wait(10)
        eventually(lambda: not place.processes(), "the end of everything it started")
        (left,) = place.temporary.glob(f"{PREFIX}*")
        then = left.stat().st_mtime - 2 * SETTLED_S
        os.utime(left, (then, then))
    assert len(worktrees(place.repository)) == 2
    place.change(APP, BROKEN)

    assert place.run(*SHORT).code == 7


# -- it goes wrong


@pytest.mark.holds
def test_a_delta_that_head_loses_is_named(place: Place) -> None:
    """One of a thousand; the line to repeat it names the base as it was given."""
    apply(PLANTS / "evidence" / "lost_delta.patch", place.repository)
    commit(place.repository, {})

    run = place.run("--base", "HEAD@{1}", "-t", "12s", "--seed", "5", "--undecided", "warn")

    assert codes(run) == (1, 1)
    (finding,) = [one for one in run.run["findings"] if one["kind"] == "BEHAVIOUR"]
    assert finding["scenario"] == "head chat_ws"
    assert "ended BROKEN(loss), declared is DONE; none of base did" in finding["reason"]
    assert finding["reproduce"] == (
        f"locust -f locustfile.py --headless --base 'HEAD@{{1}}' --seed 5 --app-dir {place.repository}"
    )


def fill(disk: Path, but_mb: int) -> None:
    """Until there is no more room than that."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while shutil.disk_usage(disk).free > but_mb << 20:
            filler.write(b"0" * 65_536)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk with room for a comparison, and not much more."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.holds
@pytest.mark.parametrize("but_mb", [8, 0])
def test_a_disk_that_gets_full_is_told(but_mb: int, place: Place) -> None:
    """6, and streams that failed for it are not head's doing. Needs root, who may mount a small disk."""
    with small_disk(place.reports), place.started(*LONG) as locust:
        place.await_blocks(4)
        fill(place.reports, but_mb)
        run = over(locust, place.reports)
        place.check_clean()

    assert "Traceback" not in run.out
    assert any(line.startswith(("INVALID no_room: ", "INVALID not written: ")) for line in run.report), (
        run.out
    )
    assert run.code == 6


@pytest.mark.holds
def test_a_disk_that_is_full_is_told_at_once(place: Place) -> None:
    """Nothing is started. Needs root, who may mount a small disk."""
    with small_disk(place.reports):
        fill(place.reports, 8)
        run = place.run(*SHORT)

    (line,) = run.lines
    assert line.startswith("INVALID: no_room: ")
    assert run.code == 6


# -- servers and apps of somebody else


@contextmanager
def speaking(folder: Path) -> Iterator[str]:
    """A server that somebody started; its URL."""
    log = folder / "server.log"
    folder.mkdir()
    command = ["uvicorn", "speaking.app:app", "--app-dir", str(SPEAKING.parents[1]), "--port", "0"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=environment(),
        ) as process,
    ):
        try:
            words = eventually(
                lambda: [word for word in log.read_text().split() if word.startswith("http://")],
                "its address",
            )
            yield words[0]
        finally:
            process.terminate()


@pytest.mark.holds
def test_two_running_servers_are_compared(tmp_path: Path) -> None:
    """They are never restarted, and paired by what they are asked."""
    with speaking(tmp_path / "one") as base, speaking(tmp_path / "other") as head:
        run = headless(
            "--config", str(SPEAKING), "--scenario", "openai-chat", "--host", head, "--base-host", base,
            "-t", "6s", "--undecided", "warn", "--seed", "5",
            reports=tmp_path / "reports",
        )  # fmt: skip

    arms = run.run["comparison"]["arms"]
    assert "Traceback" not in run.out
    assert [reason for reason in run.reasons if not reason.startswith(("REGRESSED", "INCONCLUSIVE"))] == []
    assert (arms["base"], arms["head"], arms["paired_by"], arms["restarted"]) == (base, head, "prompt", False)
    assert {row["scenario"] for row in run.streams()} == {"base openai-chat", "head openai-chat"}
    assert run.code == run.run["verdict"]["exit_code"]


@pytest.mark.holds
def test_a_base_server_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    """A head that is not there is down."""
    nobody = "http://127.0.0.1:9"
    config = ("--config", str(SPEAKING), "--scenario", "openai-chat", "-t", "6s")
    with speaking(tmp_path / "one") as there:
        base = headless(*config, "--host", there, "--base-host", nobody, reports=tmp_path / "base")
        head = headless(*config, "--host", nobody, "--base-host", there, reports=tmp_path / "head")

    assert [(run.code, run.lines[0].partition("it does")[0]) for run in (base, head)] == [
        (6, "INVALID: base_unusable: "),
        (7, "TARGET_DOWN: head: "),
    ]
    assert [len(run.lines) for run in (base, head)] == [1, 1]


@pytest.mark.holds
def test_two_apps_of_one_folder_are_compared(tmp_path: Path) -> None:
    """Without git; both are started, again and again."""
    run = headless(
        "--config", str(SPEAKING), "--scenario", "openai-chat", "--base-app", "speaking.app:app",
        "-t", "6s", "--undecided", "warn", "--seed", "5",
        reports=tmp_path,
    )  # fmt: skip

    arms = run.run["comparison"]["arms"]
    assert "Traceback" not in run.out
    assert [reason for reason in run.reasons if not reason.startswith(("REGRESSED", "INCONCLUSIVE"))] == []
    assert (arms["base"], arms["head"], arms["restarted"]) == ("speaking.app:app", "working tree", True)
    assert run.code == run.run["verdict"]["exit_code"]


@pytest.mark.holds
def test_a_base_with_other_packages_gets_its_own_environment(place: Place, tmp_path: Path) -> None:
    """Made from its lock alone: here it locks nothing, so the backend cannot be imported there."""
    commit(place.repository, {"requirements.lock": "# nothing\n"})
    (place.repository / "requirements.lock").write_text("# other\n")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = headless(*place.arguments, *SHORT, reports=place.reports, env=place.env | cache)

    place.check_clean()
    (line,) = run.lines
    (made,) = (tmp_path / "cache" / "streamgauge").iterdir()
    assert (made / "complete").is_file()
    assert run.code == 6
    assert line.startswith("INVALID: base_unusable: the set-up command `")
    assert "No module named" in line


# -- it comes to its end


def test_a_comparison_can_be_decided_again_from_its_blocks(place: Place) -> None:
    """Whatever it decided on this machine today: blocks, report and exit code say the same."""
    run = place.run(*SHORT, "-t", "3s")

    lines, stored = blocks(run), run.run["comparison"]
    decision = joined(decide_again(lines))
    assert "Traceback" not in run.out
    assert decision is not None
    assert decision.verdict is not None
    assert (stored["arms"]["base"], stored["arms"]["head"]) == (
        f"HEAD ({git(place.repository, 'rev-parse', '--short=7', 'HEAD')})",
        "working tree",
    )
    assert (stored["arms"]["paired_by"], stored["arms"]["restarted"]) == ("seed", True)
    assert stored["result"]["verdict"] == decision.verdict.name
    assert codes(run) == (run.code, run.code)
    rows = [row for row in run.streams() if row["round"] is not None]
    counted = {(line.arm, line.round): line.n for line in lines if line.run == "first"}
    assert counted == {key: sum((row["arm"], row["round"]) == key for row in rows) for key in counted}
    assert set(counted.values()) == {36}
