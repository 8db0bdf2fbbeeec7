"""The terminal report when nobody reads it any more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHOWS_MUCH = """
import sys
from pathlib import Path
from integration.instrument.documents import document
from load.report.console import show

for _ in range(50):
    show(document(), Path("reports/x"))
sys.exit(3)
"""


def test_a_reader_that_leaves_does_not_change_the_exit_code() -> None:
    """`make load | head -1` ends with the code of the run, and without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-c", SHOWS_MUCH],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        code = process.wait(timeout=30)

    assert (code, err) == (3, "")
    assert first.split()[0].isupper()
