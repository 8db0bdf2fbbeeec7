"""What a WebSocket handshake must look like to be accepted; each refusal has a body that says why.

draining -> subprotocol -> origin -> credential -> agent -> state -> governance -> limits
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from backend.api.auth import bearer_token
from backend.errors import ErrorCode, Problem

PROTOCOL: Final = "agentchat.v1"
_BEARER: Final = "bearer."
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client brought: its token, and whether it speaks `agentchat.v1` or the plain contract."""

    token: str | None
    speaks_v1: bool

    @property
    def subprotocol(self) -> str | None:
        return PROTOCOL if self.speaks_v1 else None


def read_offer(connection: HTTPConnection, allowed_origins: Collection[str]) -> Offer:
    """The offer; raises `bad_handshake`, `origin_forbidden` or `unauthenticated`."""
    subprotocols: list[str] = connection.scope.get("subprotocols", [])
    in_subprotocol = [entry for entry in subprotocols if entry.startswith(_BEARER)]
    in_header = connection.headers.getlist("authorization")
    if subprotocols and PROTOCOL not in subprotocols:
        raise Problem(ErrorCode.BAD_HANDSHAKE, f"The subprotocol is {PROTOCOL}")  # H8
    if len(in_subprotocol) + len(in_header) > 1:
        raise Problem(ErrorCode.BAD_HANDSHAKE, "One credential, not two")  # H8
    origins = connection.headers.getlist("origin")
    if origins and not (len(origins) == 1 and origin_allowed(origins[0], allowed_origins)):
        raise Problem(ErrorCode.ORIGIN_FORBIDDEN)  # H5
    if in_subprotocol and not origins:
        # Only browsers need the subprotocol, and browsers always say where they come from.
        raise Problem(ErrorCode.UNAUTHENTICATED)
    token = in_subprotocol[0].removeprefix(_BEARER) if in_subprotocol else bearer_token(connection)
    return Offer(token, PROTOCOL in subprotocols)


def origin_allowed(origin: str, allowed: Collection[str]) -> bool:
    """Equal in scheme, host and port to one that is allowed; `null` never is."""
    asked = _parts(origin)
    return asked is not None and any(asked == _parts(one) for one in allowed)


def _parts(origin: str) -> tuple[str, str, int] | None:
    try:
        url = urlsplit(origin)
        port = url.port
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(url.scheme)
    bare = not (url.path or url.query or url.fragment or url.username is not None)
    if default is None or not url.hostname or not bare:
        return None
    return url.scheme, url.hostname, port or default
