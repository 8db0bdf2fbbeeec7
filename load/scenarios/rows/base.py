"""What a row of the load profile is written in: a function, its id in docs/errors.md, what it expects.

    @row("P6", error("first_token_timeout", FIRST_TOKEN_TIMEOUT_S), "mute", lasts_s=1.8)
    def first_token_timeout(user: Walker, name: str, expect: Expect) -> None:
        user.stream(user.websocket("mute"), user.turn("Say something."), expect, name)

The function's name is the scenario its streams are booked under. It books its declared outcome once, with
`stream`, `call` or `outcome`; further streams go under names of their own. What else it sees and nobody
declared it tells with `unexpected`. It starts with no connection open, and those it leaves are closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from load.drivers.http import HttpDriver
from load.scenarios.base import AgentUser
from load.scenarios.expect import Expect

UNKNOWN_AGENT: Final = "agt_00000000000000000000000000000000"


class Walker(AgentUser):
    """A user who walks rows: its own account (`token`), spare ones, and the admin's.

    flood_token, hold_token: accounts whose rate may be emptied, and whose runs may be left behind.
    """

    abstract = True
    of_failures = True
    SPARE_ACCOUNTS: Final = 6

    def on_start(self) -> None:
        self.place = next(self.session.walkers)
        self.flood_token = self.spare_token(0)
        self.hold_token = self.spare_token(1)

    def spare_token(self, n: int) -> str:
        """The token of one of the user's further accounts, 0 <= n < SPARE_ACCOUNTS; 0 and 1 are
        `flood_token` and `hold_token`. With `--host` there may be one account for everybody."""
        tokens, users = self.session.tokens, self.session.options.users
        return tokens[(users + self.place * self.SPARE_ACCOUNTS + n) % len(tokens)]

    @property
    def admin(self) -> HttpDriver:
        """Requests as administrator; for rows declared with `admin=True`."""
        assert self.session.admin_token is not None, "declare the row with admin=True"
        return self.http(token=self.session.admin_token)

    def due_ns(self) -> int:
        """Now: a row has no schedule."""
        return time.perf_counter_ns()

    place: int
    flood_token: str
    hold_token: str


Act: TypeAlias = Callable[[Walker, str, Expect], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One declared failure, or one of several variants of it.

    id: in docs/errors.md. agents: those of the profile that it needs. lasts_s: at most; it is started only
    where that fits. times: at least; 1 for what may come only once in a run. harmless: to a server that
    others use. admin: needs the administrator's token.
    """

    id: str
    name: str
    expect: Expect
    run: Act
    agents: tuple[str, ...]
    lasts_s: float
    times: int
    harmless: bool
    admin: bool


SHORT_S: Final = 0.3
"""What two or three requests take at most, also on a busy machine."""

ROWS: Final[dict[str, Row]] = {}
"""By name; filled by importing `load.scenarios.rows`."""


def row(
    row_id: str,
    expect: Expect,
    *agents: str,
    lasts_s: float = SHORT_S,
    times: int = 2,
    harmless: bool = False,
    admin: bool = False,
) -> Callable[[Act], Act]:
    """Declares the decorated function as a row; its name must be its own."""

    def declare(act: Act) -> Act:
        name = act.__name__
        assert name not in ROWS, f"two rows are called {name}"
        ROWS[name] = Row(row_id, name, expect, act, agents, lasts_s, times, harmless, admin)
        return act

    return declare
