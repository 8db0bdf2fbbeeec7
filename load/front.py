"""How a run begins and ends for whoever typed it: one line for what cannot be done, and its exit code."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from load.errors import ExitCode, LoadError, UsageError
from load.options import Options
from load.report.console import say
from load.scenarios.base import AgentUser


class exiting:  # noqa: N801  # reads as a statement
    """Turns an error of ours into one line and its exit code; a defect must not read as BEHAVIOUR."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, LoadError):
            say(f"{error.exit_code.name}: {error}")
            sys.exit(int(error.exit_code))
        if isinstance(error, Exception):
            logging.getLogger("streamgauge").error("a defect in the instrument", exc_info=error)
            sys.exit(int(ExitCode.INVALID))


def announce(
    options: Options, kinds: list[type[AgentUser]], failures: tuple[str, ...], tried: tuple[str, ...]
) -> None:
    """What will be sent to a server that others may use, how fast and to whom. tried: scenarios of which one
    message goes ahead."""
    shares = sum(kind.weight for kind in kinds)
    who = ", ".join(f"{kind.scenario} {kind.weight / shares:.0%}" for kind in kinds)
    how = f"about {options.users / options.think_s:.3g} messages a second together"
    if options.find_capacity:
        how = f"more and more, up to {how if options.rate is None else f'open load of {options.rate}'}"
    elif options.is_open:
        how = "the arrivals of a trace" if options.rate is None else f"open load of {options.rate}"
    say(f"to {options.host}: {options.users} users ({who}), {how}")
    if failures:
        say(f"failures ({options.failures}): {', '.join(failures)}")
    if tried:
        say(f"first one message each of {', '.join(tried)}, to see that it is spoken there")


def one_at_a_time(stop: Callable[..., None]) -> Callable[..., None]:
    """Who calls it meanwhile waits until it has ended."""
    lock = threading.RLock()

    def locked(**how: bool) -> None:
        with lock:
            stop(**how)

    return locked


def leave(status: int = 0, message: str | None = None) -> NoReturn:
    """How argparse ends; `locust: error: …` in one line, as all that cannot be done."""
    if message:
        say(f"{ExitCode.USAGE.name}: {message.partition(': error: ')[2].strip()}")
    sys.exit(status)


def check_port(host: str, port: int) -> None:
    """Raises UsageError when the web UI could not listen: Locust would go on without it."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("" if host == "*" else host, port))
    except OSError as error:
        raise UsageError(f"--web-port {port}: {error.strerror}; name another one") from error
