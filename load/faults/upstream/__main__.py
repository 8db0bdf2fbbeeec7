"""A scripted OpenAI-compatible provider, to be asked by a backend under test.

By hand:

    python -m load.faults.upstream --port 9101
    export BACKEND_PROVIDERS='[{"name":"main","base_url":"http://127.0.0.1:9101/v1","models":["sim:*"]}]'
    python -m backend

and an agent with the model `sim:ttft=200,n=60,gap=25`. Prints `{"listening": "http://127.0.0.1:PORT"}` when
it is ready (port 0 = a free one) and stops on SIGTERM.

    POST /v1/chat/completions, GET /v1/models
    PUT  /__admin/scripts/ID   [[OPERATION, …], …]   for the model `script:ID` or the key `sk-script-ID`
    GET  /__admin/journal?id=ID                      what was asked, written, and by whom it was ended
    GET  /__admin/journal?after=NUMBER&limit=500     the same in pages, each entry with its number
    GET  /__admin/stats                              {"open_streams": 0, …}

Operations stand in script.py, names of `sim:` models in sim.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys

from load.faults.upstream import script, sim, wire
from load.faults.upstream.server import Upstream


async def serve(port: int) -> None:
    """Serves until SIGTERM or SIGINT, or until a pipe on standard input closes: its owner is gone then."""
    upstream, ended = Upstream(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        loop.add_reader(sys.stdin.fileno(), _end_without_owner, ended)
    server = await asyncio.start_server(
        upstream.connected, "127.0.0.1", port, limit=wire.HEAD_BYTES, backlog=1024
    )
    bound = server.sockets[0].getsockname()[1]
    print(json.dumps({"listening": f"http://127.0.0.1:{bound}"}), flush=True)  # noqa: T201
    await ended.wait()
    server.close()
    upstream.abort()


def _end_without_owner(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m load.faults.upstream",
        description=f"{__doc__}\n{script.__doc__}\n{sim.__doc__}",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.port))
    except OSError as error:
        print(f"upstream: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
