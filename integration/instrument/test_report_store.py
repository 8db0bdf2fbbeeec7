"""The run folder: made before the first user or refused, and files that are whole or not there."""

from __future__ import annotations

import gzip
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from integration.instrument.documents import document
from load.errors import UsageError
from load.metrics.row import StreamRow
from load.report.render import render_all, write_document
from load.report.store import StreamRows, create_folder, point_latest, read_rows, write_atomically

NOON = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)

ROW = StreamRow(
    utc="2026-11-25T12:00:01.000Z",
    execution_id="exe_1",
    correlation_id="c1",
    scenario="chat_ws",
    user=3,
    seed=7,
    arm=None,
    round=None,
    intended_us=1000,
    sent_us=10,
    ttft_us=30_000,
    total_us=280_000,
    gaps_us=(20_000, 20_001),
    slope=None,
    mates=(),
    chunks=3,
    state="DONE",
    code=None,
    status=None,
    breaks={},
    excerpts=(),
)


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A place that cannot be written to by anybody, the superuser included: below a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "reports"


@contextmanager
def full_disk() -> Iterator[None]:
    """Only the first 100 bytes of a file can be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFolder:
    def test_is_named_by_time_commit_and_chance(self, tmp_path: Path) -> None:
        local = NOON.astimezone(timezone(timedelta(hours=5)))
        folder = create_folder(tmp_path / "new" / "reports", local, "0123456")

        assert re.fullmatch(r"20261125T120000Z-0123456-[0-9a-f]{4}", folder.name)
        assert list(folder.iterdir()) == []

    def test_two_runs_of_one_second_have_their_own(self, tmp_path: Path) -> None:
        made = {create_folder(tmp_path, NOON, "nogit").name for _ in range(3)}

        assert len(made) == 3

    def test_that_cannot_be_written_is_refused_in_one_line(self, blocked: Path) -> None:
        with pytest.raises(UsageError) as raised:
            create_folder(blocked, NOON, "nogit")

        assert str(raised.value) == (
            f"--reports {blocked}: cannot be written (Not a directory); name another folder with --reports"
        )

    def test_in_a_read_only_file_system_is_refused_in_one_line(self) -> None:
        """/proc is there on Linux alone, and takes no folder from anybody."""
        with pytest.raises(UsageError) as raised:
            create_folder(Path("/proc/reports"), NOON, "nogit")

        assert str(raised.value).startswith("--reports /proc/reports: cannot be written (")
        assert "\n" not in str(raised.value)


class TestWriting:
    def test_replaces_the_old_content(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        write_atomically(path, "old")
        write_atomically(path, "new")

        assert path.read_text() == "new"
        assert names(tmp_path) == ["a.txt"]

    def test_that_ends_half_way_leaves_the_old_content(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        write_atomically(path, "old")
        with full_disk(), pytest.raises(OSError):
            write_atomically(path, "new" * 100)

        assert path.read_text() == "old"
        assert names(tmp_path) == ["a.txt"]

    def test_that_fails_at_the_end_leaves_what_was_there(self, tmp_path: Path) -> None:
        """The target is a folder, so the last step cannot be done."""
        path = tmp_path / "a.txt"
        path.mkdir()
        with pytest.raises(OSError):
            write_atomically(path, "new")

        assert names(tmp_path) == ["a.txt"]


class TestLatest:
    def test_is_swapped(self, tmp_path: Path) -> None:
        """Every look at it finds a run; nothing is left behind."""
        first, second = (create_folder(tmp_path, NOON, name) for name in ("aaaaaaa", "bbbbbbb"))
        point_latest(first)
        before = (tmp_path / "latest").resolve()
        point_latest(second)

        assert before == first.resolve()
        assert (tmp_path / "latest").resolve() == second.resolve()
        assert names(tmp_path) == sorted([first.name, second.name, "latest"])

    def test_survives_a_move_of_the_reports(self, tmp_path: Path) -> None:
        folder = create_folder(tmp_path / "reports", NOON, "aaaaaaa")
        point_latest(folder)
        (tmp_path / "reports").rename(tmp_path / "artefact")

        assert (tmp_path / "artefact" / "latest").resolve() == tmp_path.resolve() / "artefact" / folder.name


class TestRows:
    def test_are_read_back(self, tmp_path: Path) -> None:
        rows = StreamRows(tmp_path)
        rows.write(ROW)
        rows.write(replace(ROW, user=4))
        rows.close()

        assert [row["user"] for row in read_rows(tmp_path / "streams.jsonl.gz")] == [3, 4]
        assert (rows.written, rows.dropped, rows.reason) == (2, 0, None)

    def test_that_were_flushed_are_read_when_the_writer_was_killed(self, tmp_path: Path) -> None:
        """The file has no end, as after SIGKILL."""
        rows = StreamRows(tmp_path)
        for number in range(StreamRows.FLUSH_EVERY):
            rows.write(replace(ROW, user=number))

        assert sum(1 for _ in read_rows(tmp_path / "streams.jsonl.gz")) == StreamRows.FLUSH_EVERY
        rows.close()

    def test_that_cannot_be_written_are_counted_and_disturb_nobody(self, tmp_path: Path) -> None:
        rows = StreamRows(tmp_path)
        with full_disk():
            for _ in range(2 * StreamRows.FLUSH_EVERY):
                rows.write(ROW)
            rows.close()

        assert rows.dropped >= 1
        assert rows.reason == f"{tmp_path / 'streams.jsonl.gz'}: File too large"


class TestFailedRendering:
    def test_costs_no_data(self, tmp_path: Path) -> None:
        """summary.md cannot be written; run.json, rows, and the other renderings are there."""
        folder = create_folder(tmp_path, NOON, "nogit")
        rows = StreamRows(folder)
        rows.write(ROW)
        rows.close()
        (folder / "summary.md").mkdir()
        write_document(folder, document())
        failed = render_all(folder, document())

        assert [line.split(": ")[0] for line in failed] == [f"{folder / 'summary.md'} was not written"]
        assert names(folder) == [
            "junit.xml",
            "report.html",
            "run.json",
            "streams.jsonl.gz",
            "summary.md",
        ]
        with gzip.open(folder / "streams.jsonl.gz") as file:
            assert len(file.readlines()) == 1

    def test_names_every_file(self, tmp_path: Path) -> None:
        folder = tmp_path / "gone"
        folder.write_text("")

        assert len(render_all(folder, document())) == 3
