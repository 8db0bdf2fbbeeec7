"""Workers of which one can see from outside what they have reported, and whose last report may be slow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import gevent
from locust import events
from locust.env import Environment
from locust.runners import WorkerRunner

from load.distributed import PART
from load.plugin import install
from load.scenarios.chat import ChatHttp, ChatSse, ChatWs

__all__ = ["ChatHttp", "ChatSse", "ChatWs"]

TOLD: Final = Path(os.environ["REPORTING_FOLDER"])
"""A file for each worker, by its process id, with a line for each report that had streams in it."""
SLOW_S: Final = float(os.environ.get("REPORTING_SLOW_S", "0"))


def dawdle(environment: Environment, **_: Any) -> None:
    """Comes before the last report is made."""
    if isinstance(environment.runner, WorkerRunner):
        gevent.sleep(SLOW_S)


def sign(data: dict[str, Any], **_: Any) -> None:
    """In the worker."""
    data["told"] = [os.getpid(), len(data.get(PART, {}).get("executions", ()))]


def tell(data: dict[str, Any], **_: Any) -> None:
    """In the master, when a report has come."""
    pid, streams = data["told"]
    if streams:
        with (TOLD / str(pid)).open("a") as file:
            file.write(f"{streams}\n")


def listen(**_: Any) -> None:
    """Behind what looks at reports itself."""
    events.report_to_master.add_listener(sign)
    events.worker_report.add_listener(tell)


events.test_stop.add_listener(dawdle)
install()
events.init.add_listener(listen)
