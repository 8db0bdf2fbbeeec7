"""Where server and client of a cell run: beside each other, or in a network namespace each, with a cable."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

SERVER, CLIENT = "198.18.0.1", "198.18.0.2"
"""Out of the range that is set apart for benchmarks (RFC 2544); known in the two namespaces alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """host: where the server listens. server, client: put before their commands."""

    host: str = "127.0.0.1"
    server: tuple[str, ...] = ()
    client: tuple[str, ...] = ()


HERE: Final = Place()


class NotAllowed(Exception):
    """One line: why this machine gives no namespaces."""


@contextmanager
def apart() -> Iterator[Place]:
    """Two namespaces of our own, joined by a veth pair; gone afterwards. Raises NotAllowed."""
    ip = shutil.which("ip")
    if ip is None:
        raise NotAllowed("there is no `ip` command (iproute2)")
    if os.geteuid() != 0:
        raise NotAllowed("network namespaces need root")
    server, client = (f"streamgauge-{os.getpid()}-{end}" for end in ("server", "client"))
    ends = {server: (f"sg{os.getpid()}s", SERVER), client: (f"sg{os.getpid()}c", CLIENT)}
    try:
        for name in ends:
            ask(ip, "netns", "add", name)
        (near, _), (far, _) = ends.values()
        ask(ip, "link", "add", near, "netns", server, "type", "veth", "peer", "name", far, "netns", client)
        for name, (link, address) in ends.items():
            ask(ip, "-n", name, "link", "set", "lo", "up")
            ask(ip, "-n", name, "address", "add", f"{address}/30", "dev", link)
            ask(ip, "-n", name, "link", "set", link, "up")
        inside = (ip, "netns", "exec")
        yield Place(SERVER, (*inside, server), (*inside, client))
    finally:
        for name in ends:
            subprocess.run([ip, "netns", "del", name], capture_output=True, timeout=10, check=False)


def ask(*command: str) -> None:
    """Raises NotAllowed with what was answered."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise NotAllowed(f"`{' '.join(('ip', *command[1:]))}` failed: {done.stderr.strip()}")
