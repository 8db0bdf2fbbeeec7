"""The proxy: its door, its connections, what its admin interface is asked for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from load.faults.proxy.admin import Admin
from load.faults.proxy.connection import Connection
from load.faults.proxy.door import Door
from load.faults.proxy.plan import Plan
from load.faults.proxy.refused import Refused
from load.faults.proxy.shared import Address, Shared, parse_address


class Proxy:
    """`start`, then wait for whatever you wait for, then `stop`."""

    def __init__(self, shared: Shared, listen: Address) -> None:
        self._shared = shared
        self._door = Door(listen, self._admit)
        self._admin = Admin(self._answer)
        self._admin_server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, admin_port: int) -> dict[str, str]:
        """The two addresses. Raises OSError when one is taken."""
        self._turn_door()
        self._admin_server = await self._admin.serve(admin_port)
        port = self._admin_server.sockets[0].getsockname()[1]
        host, listening = self._door.address
        return {"listening": f"{host}:{listening}", "admin": f"http://127.0.0.1:{port}"}

    async def stop(self) -> None:
        """All connections end at once."""
        self._door.close()
        if self._admin_server is not None:
            self._admin_server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def fault(self, text: str, connection: int | None = None) -> int | None:
        """Puts a fault of the network into force: its id, None for a `thaw`. Raises Refused."""
        fault = self._shared.network.add(text, connection)
        self._shared.journal.write(connection or 0, text)
        self._turn_door()
        return None if fault is None else fault.id

    def _admit(self, client: socket.socket) -> None:
        task = asyncio.create_task(Connection(self._shared, client).run())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def _turn_door(self) -> None:
        network = self._shared.network
        if network.active("refuse"):
            self._door.set("refuse")
        else:
            self._door.set("unanswered" if network.active("unanswered") else "open")

    def _answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> object:
        shared = self._shared
        match method, path:
            case "GET", "/state":
                return self._state()
            case "GET", "/journal":
                wanted = query.get("connection")
                entries = shared.journal.entries(None if wanted is None else int(wanted))
                return {"planted": entries, "lost": shared.journal.lost}
            case "POST", "/plan":
                old = shared.plan
                plan = Plan.parse(
                    str(body["plan"]),
                    old.mode,
                    int(body.get("seed", old.seed)),
                    int(body.get("chunks", old.chunks)),
                )
                if "to" in body:
                    shared.target = parse_address(str(body["to"]))
                shared.begin(plan)
                return self._state()
            case "POST", "/fault":
                connection = body.get("connection")
                return {"id": self.fault(str(body["fault"]), None if connection is None else int(connection))}
            case "POST", "/clear":
                shared.network.clear(None if body.get("id") is None else int(body["id"]))
                self._turn_door()
                return self._state()
        raise Refused("no such path")

    def _state(self) -> dict[str, object]:
        shared = self._shared
        return {
            "mode": shared.plan.mode,
            "plan": shared.plan.text,
            "seed": shared.plan.seed,
            "counted": shared.counted,
            "open": len(self._connections),
            "faults": shared.network.state(),
        }
