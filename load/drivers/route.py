"""The way to a target: its address, TLS or not, and the proxy in between that the environment names.

`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count, in either case; `ws` goes with `http`, `wss`
with `https`. The own machine is never looked for behind a proxy. A proxy is asked for a tunnel (CONNECT), but
forwards plain requests: these name the whole URL.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from load.errors import UsageError

PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
SECURE: Final = ("https", "wss")


@dataclass(frozen=True, slots=True)
class Route:
    """host, port: what a socket connects to. name: whom a certificate must name, None without TLS. tunnel:
    `host:port` that a proxy is asked for, None without. origin: what the targets of requests begin with;
    empty but for a proxy that forwards. proxy_headers: who asks the proxy.
    """

    host: str
    port: int
    name: str | None = None
    tunnel: str | None = None
    origin: str = ""
    proxy_headers: Mapping[str, str] = field(default_factory=dict)


def address_of(url: str) -> tuple[str, int]:
    """Host and port. Raises UsageError for what this instrument does not speak."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise UsageError(f"{url}: only http://, https://, ws:// and wss:// addresses can be measured")
    return parts.hostname, parts.port or PORTS[parts.scheme]


def route_of(url: str) -> Route:
    """By the environment of now. Raises UsageError as `address_of`, and for a proxy of another kind."""
    host, port = address_of(url)
    scheme = urlsplit(url).scheme
    name = host if scheme in SECURE else None
    proxy = _proxy(scheme, host, port)
    if proxy is None:
        return Route(host, port, name)
    assert proxy.hostname is not None
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    proxy_port, headers = proxy.port or PORTS["http"], _authorization(proxy)
    if scheme == "http":
        return Route(proxy.hostname, proxy_port, origin=f"http://{address}", proxy_headers=headers)
    return Route(proxy.hostname, proxy_port, name, tunnel=address, proxy_headers=headers)


def proxy_for(url: str) -> str | None:
    """The proxy in between, without its credential; None where there is none."""
    proxy = _proxy(urlsplit(url).scheme, *address_of(url))
    return None if proxy is None else f"{proxy.hostname}:{proxy.port or PORTS['http']}"


def _proxy(scheme: str, host: str, port: int) -> SplitResult | None:
    proxies = getproxies_environment()
    url = proxies.get("https" if scheme in SECURE else "http") or proxies.get("all")
    if not url or _is_here(host) or proxy_bypass(f"{host}:{port}"):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise UsageError(f"{url}: only http:// proxies are spoken to; NO_PROXY={host} goes past it")
    return parts


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authorization(proxy: SplitResult) -> Mapping[str, str]:
    if proxy.username is None:
        return {}
    credential = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"proxy-authorization": f"Basic {base64.b64encode(credential.encode()).decode()}"}
