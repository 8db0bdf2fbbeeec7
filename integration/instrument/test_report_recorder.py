"""The flight recorder keeps raw frames with their times, and what the target's log says about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from load.drivers.base import Frame
from load.report.recorder import MAX_LOG_LINES, write_recording

MS = 1_000_000
FRAMES: list[Frame] = [
    (5_000 * MS, "sent", b'{"message": "Hi"}'),
    (5_030 * MS, "received", '{"type": "delta", "seq": 2, "text": "é"}'.encode()),
    (5_050 * MS, "received", b"\xff\xfe"),
]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_log(folder: Path, *members: dict[str, Any] | str) -> Path:
    log = folder / "target.log"
    log.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in members))
    return log


def test_keeps_frames_with_their_times(tmp_path: Path) -> None:
    """Times count from the first frame; bytes that are no text stand in base64."""
    name = write_recording(tmp_path, "exe_1", FRAMES, None)

    assert name == "findings/exe_1.ndjson"
    assert lines(tmp_path / name) == [
        {"id": "exe_1", "frames": 3, "log_lines": 0, "first_monotonic_ns": 5_000 * MS},
        {"at_ms": 0.0, "way": "sent", "text": '{"message": "Hi"}'},
        {"at_ms": 30.0, "way": "received", "text": '{"type": "delta", "seq": 2, "text": "é"}'},
        {"at_ms": 50.0, "way": "received", "base64": "//4="},
    ]


def test_keeps_the_log_of_the_stream_and_its_connection(tmp_path: Path) -> None:
    """Lines of the connection that belong to another stream, and those of others, stay out."""
    log = write_log(
        tmp_path,
        {"event": "opened", "correlation_id": "c1"},
        {"event": "other stream", "correlation_id": "c1", "execution_id": "exe_0"},
        {"event": "started", "correlation_id": "c1", "execution_id": "exe_1"},
        {"event": "elsewhere", "correlation_id": "c2", "execution_id": "exe_2"},
        "a traceback that names exe_1",
        {"event": "closed", "correlation_id": "c1"},
    )
    name = write_recording(tmp_path, "exe_1", FRAMES[:1], log)
    kept = [line["log"] for line in lines(tmp_path / name) if "log" in line]

    assert [text if text.startswith("a ") else json.loads(text)["event"] for text in kept] == [
        "opened",
        "started",
        "a traceback that names exe_1",
        "closed",
    ]


def test_keeps_no_more_log_than_is_read(tmp_path: Path) -> None:
    log = write_log(tmp_path, *[{"event": str(n), "execution_id": "exe_1"} for n in range(MAX_LOG_LINES + 9)])
    name = write_recording(tmp_path, "exe_1", FRAMES, log)

    assert lines(tmp_path / name)[0]["log_lines"] == MAX_LOG_LINES


def test_bears_a_log_that_is_gone(tmp_path: Path) -> None:
    name = write_recording(tmp_path, "exe_1", FRAMES, tmp_path / "none.log")

    assert lines(tmp_path / name)[0]["log_lines"] == 0


def test_lets_no_id_choose_where_it_is_written(tmp_path: Path) -> None:
    """The id is the target's word."""
    name = write_recording(tmp_path, "../../etc/pass wd\n", FRAMES, None)

    assert name == "findings/______etc_pass_wd_.ndjson"
    assert (tmp_path / name).is_file()
