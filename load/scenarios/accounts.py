"""The pool of accounts of one run: a token for each user, renewed before it expires.

A token never appears in a report, a log or a message.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from load.errors import TargetDown, UsageError

Login: TypeAlias = Callable[[str, Mapping[str, str], Mapping[str, Any] | None], Mapping[str, Any]]

RENEW_AT: Final = 0.8
"""Of a token's lifetime."""


@dataclass(frozen=True, slots=True)
class Credential:
    """How a token travels. query: `name=value`, of every path. subprotocol: offered in handshakes."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    subprotocol: str = ""

    def __repr__(self) -> str:
        return "Credential(…)"


@dataclass(frozen=True, slots=True)
class Auth:
    """What the configuration says. rows: of the file of users. hook: file and function of a login."""

    ways: Mapping[str, str]
    tokens: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()
    login: Login | None = None
    hook: str = ""

    def __repr__(self) -> str:
        return "Auth(…)"


class Accounts:
    """The pool of one run: user n takes account n, again from the first when there are more users."""

    def __init__(self, auth: Auth, url: str) -> None:
        self._auth = auth
        self._url = url
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        self._given: dict[int, tuple[Mapping[str, Any], float]] = {}

    def __len__(self) -> int:
        """How many there are; a login without a file of users makes as many as are wanted: 0."""
        return len(self._auth.tokens or self._auth.rows)

    def credential(self, number: int) -> Credential:
        """Of account `number`, valid for a while. Raises TargetDown when the login fails."""
        return sent_by(self._auth.ways, self.token(number))

    def token(self, number: int) -> str:
        """The token of account `number`; empty where nobody asks for one."""
        auth = self._auth
        if auth.tokens:
            return auth.tokens[number % len(auth.tokens)]
        if auth.login is None:
            return ""
        with self._locks[number]:
            former, until = self._given.get(number, (None, 0.0))
            if former is None or time.monotonic() >= until:
                former = self._log_in(number, former)
                lifetime_s = float(former.get("expires_in_s") or float("inf"))
                self._given[number] = (former, time.monotonic() + RENEW_AT * lifetime_s)
            return str(former["token"])

    def _log_in(self, number: int, former: Mapping[str, Any] | None) -> Mapping[str, Any]:
        auth = self._auth
        assert auth.login is not None
        row = auth.rows[number % len(auth.rows)] if auth.rows else {}
        try:
            given = auth.login(self._url, row, former)
        except Exception as error:  # noqa: BLE001  # whatever a hook of the user raises
            said = _without(str(error), [*row.values(), *(former or {}).values()])
            raise TargetDown(
                f"{auth.hook} refused account {number}: {type(error).__name__}: {said}"
            ) from None
        if not isinstance(given, Mapping) or not isinstance(given.get("token"), str):
            raise UsageError(f"{auth.hook} must return a mapping with the key token")
        return given


def sent_by(ways: Mapping[str, str], token: str) -> Credential:
    """The token in every place that asks for it."""
    if not ways:
        return Credential()
    headers: dict[str, str] = {}
    if "header" in ways:
        name, _, value = ways["header"].partition(":")
        headers[name.strip().lower()] = value.strip().replace("{token}", token)
    if "cookie" in ways:
        headers["cookie"] = ways["cookie"].replace("{token}", token)
    query = ways.get("query", "").replace("{token}", quote(token, safe=""))
    return Credential(headers, query, ways.get("subprotocol", "").replace("{token}", token))


def _without(text: str, secrets: Iterable[object]) -> str:
    """The text of a foreign error with everything hidden that was handed to it."""
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "…")
    return " ".join(text.split())[:200]
