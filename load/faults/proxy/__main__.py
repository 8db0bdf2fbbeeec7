"""A TCP proxy that fails on purpose: between client and backend, backend and provider or PostgreSQL.

By hand:

    python -m load.faults.proxy --listen 127.0.0.1:9102 --to 127.0.0.1:8000 --mode ws --seed 7 --plan 'drop 5'
    python -m load.faults.proxy --listen 127.0.0.1:9103 --to unix:DIR/.s.PGSQL.5432 --fault 'latency 50 down'

It prints `{"listening": "HOST:PORT", "admin": "http://127.0.0.1:PORT"}` when it is ready, stops on SIGTERM,
and writes each fault it planted into its journal, with its connection, frame and monotonic time.

Faults of the network, in every mode (--fault, repeatable, or POST /fault):
    latency MS [WAY]      every byte comes so much later
    rate BYTES [WAY]      so many bytes a second, the sender is slowed down
    freeze [WAY]          nothing passes, nothing is lost, until `thaw [WAY]`
    blackhole [WAY]       bytes vanish, and so does the end of the connection
    rst|fin after N [WAY] both ends get it when so many bytes have passed
    refuse · unanswered   new connections are refused · get no answer
    WAY is `up` (to the target), `down` or `both`, which is the default.

Plans (--plan), in mode ws for frames, in mode sse for events; k is a chunk of a stream, drawn if left out:
    stall k MS            chunk k and all behind it wait
    delay MS              so does chunk 1
    drop k · duplicate k · reorder k · corrupt k
    cut k rst|fin         the connection ends behind chunk k
    close k CODE          a close frame (sse: the end of the response) instead of the rest
    late k · mute k       chunk k behind `done` · nothing behind chunk k
    grow MS               the gap before chunk k is k · MS longer
    inject k error|badjson|badutf8|ping (ws)|comment (sse)
    refuse STATUS         the handshake, or the request, is answered so
    recode A B            close code A becomes B (ws)
    split k N · coalesce k N
    clean                 nothing
  `drop; stall 400; clean` deals one of the three to each connection that asks for a stream,
  `drop 3 + cut 6 rst` plants both on one, `2: drop 5` means connection 2. An operation is planted once,
  in the first stream of its connection that has its chunk. Seed and number of the connection decide all
  that is left open.

Admin interface:
    GET  /state
    GET  /journal[?connection=N]      {"planted": […], "lost": 0}
    POST /plan  {plan, seed?, chunks?, to?}    connections to come count from 1, the journal is emptied
    POST /fault {fault, connection?}  {"id": 1}
    POST /clear {id?}                 ends that fault, or all
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys
import threading

from load.faults.proxy.plan import CHUNKS, Plan
from load.faults.proxy.refused import Refused
from load.faults.proxy.server import Proxy
from load.faults.proxy.shared import Shared, parse_address


def wait_for_owner(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stops when a pipe on standard input closes: its owner is gone then."""

    def read() -> None:
        # Not through sys.stdin: a thread that holds its lock at the end of the process is fatal.
        while os.read(sys.stdin.fileno(), 1024):
            pass
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=read, daemon=True).start()


async def serve(arguments: argparse.Namespace) -> None:
    """From the ready line to the signal."""
    plan = Plan.parse(arguments.plan, arguments.mode, arguments.seed, arguments.chunks)
    shared = Shared(plan, parse_address(arguments.to), arguments.receive_buffer)
    proxy = Proxy(shared, parse_address(arguments.listen))
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready = await proxy.start(arguments.admin_port)
    try:
        for fault in arguments.fault:
            proxy.fault(fault)
        wait_for_owner(loop, stop)
        print(json.dumps(ready), flush=True)  # noqa: T201
        await stop.wait()
    finally:
        await proxy.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m load.faults.proxy",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0 = a free one")
    parser.add_argument("--to", required=True, metavar="HOST:PORT|unix:PATH", help="the target")
    parser.add_argument("--mode", choices=("tcp", "ws", "sse"), default="tcp")
    parser.add_argument("--plan", default="", help="what goes wrong on which connection")
    parser.add_argument("--seed", type=int, default=0, help="decides what the plan leaves open")
    parser.add_argument(
        "--chunks", type=int, default=CHUNKS, help=f"a drawn k fits so many chunks ({CHUNKS})"
    )
    parser.add_argument("--fault", action="append", default=[], help="a fault of the network, from the start")
    parser.add_argument("--admin-port", type=int, default=0, help="0 = a free one")
    parser.add_argument(
        "--receive-buffer", type=int, metavar="BYTES", help="of the kernel, towards the target"
    )
    try:
        asyncio.run(serve(parser.parse_args()))
    except (Refused, OSError) as error:
        print(f"proxy: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
