"""Enough of HTTP/1.1 for a provider: one request at a time, bodies with a length, nothing clever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

HEAD_BYTES: Final = 65_536
BODY_BYTES: Final = 16 * 1024 * 1024
_PHRASES: Final = {one.value: one.phrase for one in HTTPStatus}


class BadRequest(Exception):
    """Not a request that is understood here."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


async def read_request(reader: asyncio.StreamReader, ahead: bytes) -> Request | None:
    """The next request of a connection, `ahead` of it being read; None when the peer has left instead."""
    try:
        head = ahead + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as ended:
        if ended.partial:
            raise BadRequest("the head is not complete") from ended
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest("the head is too large") from error
    first, *lines = head.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise BadRequest("not HTTP") from error
    if not 0 <= length <= BODY_BYTES or "transfer-encoding" in headers:
        raise BadRequest("a body with a length is expected")
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, await reader.readexactly(length))


def head(status: int, headers: Mapping[str, object]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'Planted')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(status: int, content: object, headers: Mapping[str, object] | None = None) -> bytes:
    """A whole answer; text stays as it is, all else becomes JSON."""
    is_text = isinstance(content, str)
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    kind = "text/html; charset=utf-8" if is_text else "application/json"
    all_headers = {"Content-Type": kind, **(headers or {}), "Content-Length": len(body)}
    return head(status, all_headers) + body
