"""Stored runs that others are held against."""

from __future__ import annotations

from pathlib import Path

import orjson

from load.errors import UsageError
from load.report.document import FORMAT
from load.verdict.baseline import Baseline, of_document


def read_baseline(path: Path) -> Baseline:
    """The run of a run.json, or of a folder that holds one. Raises UsageError in one line."""
    file = path / "run.json" if path.is_dir() else path
    try:
        document = orjson.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"--baseline {file}: cannot be read ({error.strerror})") from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--baseline {file}: cannot be read ({error})") from error
    return of_document(document, str(file), FORMAT)
