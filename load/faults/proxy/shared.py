"""What all connections of a proxy share."""

from __future__ import annotations

import socket
from typing import TypeAlias

from load.faults.proxy.journal import Journal
from load.faults.proxy.network import Network
from load.faults.proxy.plan import Plan
from load.faults.proxy.pump import Link
from load.faults.proxy.refused import Refused

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | str]


class Shared:
    """The plan, the faults in force, the journal, the target. buffer_bytes: the kernel's receive buffer
    towards the target, None for its default."""

    def __init__(self, plan: Plan, target: Address, buffer_bytes: int | None = None) -> None:
        self.plan = plan
        self.target = target
        self.buffer_bytes = buffer_bytes
        self.network = Network()
        self.journal = Journal()
        self.counted = 0

    def count(self, link: Link) -> None:
        """The next number, and what is planned for it."""
        self.counted += 1
        link.number = self.counted
        link.operations[:] = self.plan.deal(self.counted)

    def begin(self, plan: Plan) -> None:
        """A new plan: connections count from 1 again, and the journal is empty."""
        self.plan = plan
        self.counted = 0
        self.journal.clear()


def parse_address(text: str) -> Address:
    """`HOST:PORT`, also as a URL, or `unix:PATH`. Raises Refused."""
    if text.startswith("unix:"):
        return socket.AF_UNIX, text.removeprefix("unix:")
    host, _, port = text.partition("//")[2 if "//" in text else 0].rstrip("/").rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Refused(f"{text!r} is neither HOST:PORT nor unix:PATH")
    return socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port))
