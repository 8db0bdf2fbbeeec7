"""The flight recorder: what the first streams of a finding said, so that a red run need not be repeated."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import orjson

from load.drivers.base import Frame
from load.report.store import write_atomically

MAX_LOG_LINES: Final = 500


def write_recording(folder: Path, stream_id: str, frames: Sequence[Frame], log: Path | None) -> str:
    """`findings/<id>.ndjson`: every raw frame with its time, then the target's log lines of that id.

    Gives the file's name within `folder`. Raises OSError.
    """
    name = f"findings/{_file_name(stream_id)}.ndjson"
    lines = list(log_lines(log, stream_id)) if log is not None else []
    first_ns = frames[0][0] if frames else 0
    head = {"id": stream_id, "frames": len(frames), "log_lines": len(lines), "first_monotonic_ns": first_ns}
    body: list[object] = [head, *(_frame(frame, first_ns) for frame in frames)]
    body += [{"log": line} for line in lines]
    write_atomically(folder / name, b"".join(orjson.dumps(part) + b"\n" for part in body))
    return name


def log_lines(log: Path, stream_id: str) -> Iterator[str]:
    """Lines of the target's log that name the id, and those of the same request or connection that name no
    other execution; at most MAX_LOG_LINES."""
    correlations = {
        str(line["correlation_id"]) for _, line in _naming(log, {stream_id}) if line.get("correlation_id")
    }
    found = 0
    for text, line in _naming(log, {stream_id, *correlations}):
        if stream_id in text or line.get("execution_id") is None:
            yield text
            found += 1
            if found == MAX_LOG_LINES:
                return


def _naming(log: Path, ids: set[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """(line, its JSON members or none) of each line with one of `ids` in it."""
    wanted = [name.encode() for name in ids if name]
    try:
        with log.open("rb") as file:
            for raw in file:
                if any(name in raw for name in wanted):
                    yield raw.decode(errors="replace").rstrip("\n"), _members(raw)
    except OSError:
        return  # without its log the frames still tell


def _members(line: bytes) -> dict[str, object]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _frame(frame: Frame, first_ns: int) -> dict[str, object]:
    at_ns, way, data = frame
    line: dict[str, object] = {"at_ms": round((at_ns - first_ns) / 1e6, 3), "way": way}
    try:
        line["text"] = data.decode("utf-8")
    except UnicodeDecodeError:
        line["base64"] = b64encode(data).decode()
    return line


def _file_name(stream_id: str) -> str:
    """The id comes from the target; it must not choose where we write."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", stream_id)[:100] or "unknown"
