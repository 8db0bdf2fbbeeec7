"""load/target/frames.py: no line lost, none invented."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from coverage.parser import PythonParser

from load.target.config import ROOT

PROGRAM = """
import asyncio

import anyio
from sqlalchemy.util import await_only, greenlet_spawn


async def end(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        a = 1
    a = 2


async def cancel():
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    await end(task)
    b = 1


async def deadline():
    try:
        with anyio.fail_after(0.01):
            await anyio.sleep(3600)
    except TimeoutError:
        c = 1
    c = 2


async def group():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 3600)
        await deadline()
        tasks.cancel_scope.cancel()
    d = 1


def query():
    row = await_only(asyncio.sleep(0, 1))
    row += 1
    return row


def stuck():
    try:
        await_only(asyncio.sleep(3600))
    finally:
        e = 1


async def database():
    row = await greenlet_spawn(query)
    row += 1
    with anyio.move_on_after(0.01):
        await greenlet_spawn(stuck)
    row += 1


async def main():
    await cancel()
    await deadline()
    await group()
    await database()
    f = 1


asyncio.run(main())
"""

TRACE = """
import json, sys
from load.target.frames import FrameTracer
tracer = FrameTracer(lambda name: name == sys.argv[1])
tracer.start()
import program
tracer.stop()
lines = tracer.lines()
print(json.dumps(sorted(lines[sys.argv[1]])), len(lines))
"""


def test_exactly_the_lines_that_ran_are_recorded(tmp_path: Path) -> None:
    """Behind cancelled tasks, fired timeouts and awaited database calls; and of no other file."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    parser = PythonParser(filename=str(file))
    parser.parse_source()
    done = subprocess.run(
        [sys.executable, "-c", TRACE, str(file)],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == f"{json.dumps(sorted(parser.statements))} 1\n"
