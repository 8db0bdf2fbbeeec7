"""Faults of the network itself, below any protocol: for all connections or one, for each direction.

    latency MS [WAY]      every byte arrives so much later; the rate stays
    rate BYTES [WAY]      so many bytes pass in a second; the sender is slowed down
    freeze [WAY]          nothing passes, nothing is lost, until `thaw [WAY]`
    blackhole [WAY]       bytes vanish, and so does the end of the connection: a pulled cable
    rst after N [WAY]     both sides get a RST once so many bytes of that way have passed
    fin after N [WAY]     as above, with a FIN
    refuse                nobody listens any more; new connections are refused by the kernel
    unanswered            the kernel does not answer new connections at all: a connect times out

WAY is `up` (to the target), `down` (to the client) or `both`, which is meant when it is left out.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

from load.faults.proxy.refused import Refused

Way: TypeAlias = Literal["up", "down"]
WAYS: Final = ("up", "down", "both")
NUMBERED: Final = ("latency", "rate", "rst", "fin")
PLAIN: Final = ("freeze", "blackhole")
DOORS: Final = ("refuse", "unanswered")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that is in force. amount: ms, bytes a second, or bytes. connection: None for all."""

    id: int
    kind: str
    way: str
    amount: int = 0
    connection: int | None = None

    def hits(self, connection: int, way: Way) -> bool:
        return self.connection in (None, connection) and self.way in ("both", way)


class Network:
    """The faults in force. `changed` wakes whoever waits for one to end."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, text: str, connection: int | None = None) -> Fault | None:
        """Puts one into force; None for a `thaw`. Raises Refused."""
        kind, *words = text.split() or [""]
        way = words.pop() if words and words[-1] in WAYS else "both"
        if kind in ("rst", "fin") and words[:1] == ["after"]:
            words.pop(0)
        wanted = 1 if kind in NUMBERED else 0
        if kind not in (*NUMBERED, *PLAIN, *DOORS, "thaw"):
            known = ", ".join((*NUMBERED, *PLAIN, *DOORS, "thaw"))
            raise Refused(f"{kind!r} is no fault of a network: {known}")
        if len(words) != wanted or any(not word.isdigit() for word in words):
            raise Refused(f"{text!r} needs {'one number' if wanted else 'no number'}")
        amount = int(words[0]) if words else 0
        if kind == "rate" and amount == 0:
            raise Refused("a rate of 0 is `freeze`")
        if kind in DOORS and connection is not None:
            raise Refused(f"{kind} is for all connections to come")
        if kind == "thaw":
            self._remove(lambda fault: fault.kind == "freeze" and _covers(way, connection, fault))
            return None
        fault = Fault(next(self._ids), kind, way, amount, connection)
        self._faults.append(fault)
        self._wake()
        return fault

    def clear(self, id: int | None = None) -> None:
        """Ends one, or all of them."""
        self._remove(lambda fault: id in (None, fault.id))

    def amount(self, kind: str, connection: int, way: Way) -> int | None:
        """Of the newest such fault; None without one."""
        found = [fault.amount for fault in self._faults if fault.kind == kind and fault.hits(connection, way)]
        return found[-1] if found else None

    def active(self, kind: str) -> bool:
        """Whether there is one at all."""
        return any(fault.kind == kind for fault in self._faults)

    async def lifted(self, kind: str, connection: int, way: Way) -> None:
        """Waits while such a fault is in force."""
        while self.amount(kind, connection, way) is not None:
            await self._changed.wait()

    def state(self) -> list[dict[str, object]]:
        return [asdict(fault) for fault in self._faults]

    def _remove(self, unwanted: Callable[[Fault], bool]) -> None:
        self._faults = [fault for fault in self._faults if not unwanted(fault)]
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _covers(way: str, connection: int | None, fault: Fault) -> bool:
    return way in ("both", fault.way) and connection in (None, fault.connection)
