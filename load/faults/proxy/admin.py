"""The admin interface: HTTP on loopback, JSON in and out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from load.faults.proxy.eventstream import HEAD_END, headers_of
from load.faults.proxy.refused import Refused

MAX_BODY_BYTES: Final = 1 << 20
REQUEST_S: Final = 10.0

Answer: TypeAlias = Callable[[str, str, dict[str, str], dict[str, Any]], object]
"""Method, path, query and body to what is answered with 200. Raises Refused."""


class Admin:
    """One request a connection."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def serve(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._handle, "127.0.0.1", port)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                status, content = await self._request(reader)
                data = json.dumps(content).encode()
                writer.write(
                    f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                writer.write(data)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or never said what it wants
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> tuple[int, object]:
        head = await reader.readuntil(HEAD_END)
        first, headers = headers_of(head)
        words = first.decode("latin-1").split(" ")
        if len(words) != 3:
            return 400, {"error": "no HTTP request"}
        try:
            length = int(headers.get(b"content-length", b"0"))
            if not 0 <= length <= MAX_BODY_BYTES:
                raise Refused("a body of that size")
            body = json.loads(await reader.readexactly(length) or b"{}")
            if not isinstance(body, dict):
                raise Refused("the body must be an object")
            url = urlsplit(words[1])
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            return 200, self._answer(words[0], url.path, query, body)
        except KeyError as missing:
            return 422, {"error": f"without {missing}"}
        except (Refused, ValueError, TypeError) as error:
            return 422, {"error": str(error)}
        except OSError as error:
            return 503, {"error": str(error)}
