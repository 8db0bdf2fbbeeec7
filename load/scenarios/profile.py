"""The default profile as data: who comes, how often, to which agents, and how the target is set up for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from load.options import Defaults

DEFAULTS: Final = Defaults(
    users=50,
    spawn_rate=25,
    run_time="30s",
    think_s=0.4,
    host_think_s=2.0,
    mix="chat_ws=36,chat_sse=12,chat_http=12,failures=40",
)

FIRST_TOKEN_TIMEOUT_S: Final = 1.5
INTER_CHUNK_TIMEOUT_S: Final = 1.0
TOTAL_DEADLINE_S: Final = 5.0
MAX_RUNS_PER_USER: Final = 2
RATE_PER_MIN: Final = 240
RATE_BURST: Final = 20
DRAIN_TIMEOUT_S: Final = 3.0
HTTP_HEADER_TIMEOUT_S: Final = 1.0
HTTP_BODY_TIMEOUT_S: Final = 1.0
WS_FIRST_FRAME_TIMEOUT_S: Final = 2.0
WS_IDLE_TIMEOUT_S: Final = 6.0
WS_PING_INTERVAL_S: Final = 2.0
WS_PING_TIMEOUT_S: Final = 2.0
RECHECK_INTERVAL_S: Final = 1.0
RESUME_GRACE_S: Final = 2.0
REPLAY_TTL_S: Final = 3.0
SEND_TIMEOUT_S: Final = 1.0
DB_LOCK_TIMEOUT_S: Final = 0.5
CONNECT_TIMEOUT_S: Final = 0.5
LEASE_TTL_S: Final = 3.0
ORIGIN: Final = "https://app.example"
"""The only one that a browser's page may come from."""

TARGET_ENV: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Short clocks, so that each deadline is reached several times in half a minute.
        "BACKEND_FIRST_TOKEN_TIMEOUT": str(FIRST_TOKEN_TIMEOUT_S),
        "BACKEND_INTER_CHUNK_TIMEOUT": str(INTER_CHUNK_TIMEOUT_S),
        "BACKEND_TOTAL_DEADLINE": str(TOTAL_DEADLINE_S),
        "BACKEND_MAX_RUNS_PER_USER": str(MAX_RUNS_PER_USER),
        "BACKEND_DRAIN_TIMEOUT": str(DRAIN_TIMEOUT_S),
        # Well above the rate at which a user speaks: a random burst of its own is never refused.
        "BACKEND_RATE_MESSAGES_PER_MIN": str(RATE_PER_MIN),
        "BACKEND_RATE_BURST": str(RATE_BURST),
        "BACKEND_HTTP_HEADER_TIMEOUT": str(HTTP_HEADER_TIMEOUT_S),
        "BACKEND_HTTP_BODY_TIMEOUT": str(HTTP_BODY_TIMEOUT_S),
        "BACKEND_WS_FIRST_FRAME_TIMEOUT": str(WS_FIRST_FRAME_TIMEOUT_S),
        # Longer than any ordinary user is silent.
        "BACKEND_WS_IDLE_TIMEOUT": str(WS_IDLE_TIMEOUT_S),
        "BACKEND_WS_PING_INTERVAL": str(WS_PING_INTERVAL_S),
        "BACKEND_WS_PING_TIMEOUT": str(WS_PING_TIMEOUT_S),
        "BACKEND_HEARTBEAT_INTERVAL": "1",
        "BACKEND_RECHECK_INTERVAL": str(RECHECK_INTERVAL_S),
        "BACKEND_RESUME_GRACE": str(RESUME_GRACE_S),
        "BACKEND_REPLAY_TTL": str(REPLAY_TTL_S),
        "BACKEND_SEND_TIMEOUT": str(SEND_TIMEOUT_S),
        "BACKEND_CLOSE_GRACE": "0.5",
        "BACKEND_CONNECT_TIMEOUT": str(CONNECT_TIMEOUT_S),
        "BACKEND_RETRY_AFTER_CAP": "1",
        "BACKEND_LEASE_TTL": str(LEASE_TTL_S),
        "BACKEND_DB_LOCK_TIMEOUT": str(DB_LOCK_TIMEOUT_S),
        "BACKEND_ALLOWED_ORIGINS": ORIGIN,
    }
)

ORDINARY_MODEL: Final = "sim:ttft=30,n=12,gap=20,seed=msg"
"""First text after 30 ms, then eleven more 20 ms apart, drawn from the message."""


def provider_env(provider_url: str, closed_url: str) -> dict[str, str]:
    """What tells the target its providers: ours under two names, and one where nothing listens."""
    entries = (
        ("main", provider_url, ("sim:*",)),
        ("dead", closed_url, ("dead/*", "fb/*")),
        ("backup", provider_url, ("fb/*",)),
    )
    told = [{"name": name, "base_url": f"{url}/v1", "models": models} for name, url, models in entries]
    return {"BACKEND_PROVIDERS": json.dumps(told)}


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """An agent that the profile creates before the load starts.

    model: the whole behaviour of one named `sim:…` stands there. tokens, first_token_ms, interval_ms: of an
    embedded one.
    """

    maturity: str
    tokens: int = 12
    first_token_ms: int = 30
    interval_ms: int = 20
    model: str = "embedded/markov-1"

    def body(self, name: str) -> dict[str, object]:
        """The body of `POST /api/agents`."""
        return {
            "name": name,
            "description": f"{name} of the load profile",
            "maturity_level": self.maturity,
            "model": self.model,
            "configuration": {
                "embedded": {
                    "tokens": self.tokens,
                    "first_token_ms": self.first_token_ms,
                    "interval_ms": self.interval_ms,
                }
            },
        }


BRIEF_CHUNKS: Final = 3


def simulated(how: str) -> AgentPlan:
    """An agent whose provider behaves as a `sim:` model says."""
    return AgentPlan("INTERN", model=f"sim:ttft=30,{how},seed=msg")


MALFORMED: Final = ("noobject", "nochoices", "badchoice", "baddelta", "nul", "badutf8")
TOO_LONG: Final = ("longline", "longevent", "openline")
TOO_LONG_BYTES: Final = 262_200
"""Just above the target's default of an event: a line that ends is found to be too long at its end."""

AGENTS: Final[Mapping[str, AgentPlan]] = MappingProxyType(
    {
        "steady": AgentPlan("AUTONOMOUS", model=ORDINARY_MODEL),
        "intern": AgentPlan("INTERN", model=ORDINARY_MODEL),
        "student": AgentPlan("STUDENT"),
        "rated": AgentPlan("INTERN", model=ORDINARY_MODEL),
        # Only what they refuse is tried with these: nothing ever completes there.
        "intern_denied": AgentPlan("INTERN"),
        "supervised_denied": AgentPlan("SUPERVISED"),
        "orphan": AgentPlan("INTERN", model="none/x"),
        "closing": simulated("n=15,gap=100"),
        "endless": simulated("n=200,gap=200"),
        "lengthy": simulated("n=30,gap=100"),
        "finishing": simulated("n=22,gap=100"),
        "brief": AgentPlan("INTERN", model=f"sim:ttft=600,n={BRIEF_CHUNKS},gap=30,seed=msg"),
        # What providers do wrong: rows P, and C11.
        "unreachable": AgentPlan("INTERN", model="dead/x"),
        "second_choice": AgentPlan("INTERN", model="fb/sim:ttft=30,n=6"),
        "unauthorized": simulated("fail=401"),
        "limited": simulated("fail=429"),
        "failing": simulated("fail=503"),
        "mute": simulated("fail=stall"),
        "commenting": simulated("fail=comments"),
        "naming": simulated("fail=roles"),
        "stalling": simulated("fail=stall@3"),
        "trailing_off": simulated("fail=comments@3"),
        "flooding": simulated("fail=flood@3"),
        "crumbling": simulated("n=6,fail=split"),
        "torrential": simulated("n=120,gap=25,size=4000"),
        "reset_early": simulated("fail=reset"),
        "reset_late": simulated("fail=reset@3"),
        "ended_early": simulated("fail=fin"),
        "ended_late": simulated("fail=fin@3"),
        "truncated_early": simulated("fail=truncate"),
        "truncated_late": simulated("fail=truncate@3"),
        "malformed_early": simulated("fail=badjson"),
        "malformed_late": simulated("fail=badjson@3"),
        "reporting_early": simulated("fail=errorevent"),
        "reporting_late": simulated("fail=errorevent@3"),
        "refusing": simulated("fail=400"),
        "asking_later": simulated("fail=429,retry=soon"),
        "filtered_early": simulated("fail=filter"),
        "filtered_late": simulated("fail=filter@3"),
        "paged": simulated("fail=page"),
        "compressed": simulated("fail=gzip"),
        "unmarked": simulated("n=6,fail=nodone"),
        "reset_behind": simulated("n=6,fail=late-reset"),
        "stalled_behind": simulated("n=6,fail=late-stall"),
        "stalled_at_end": simulated("n=6,fail=done-stall"),
        **{kind: simulated(f"fail={kind}@3") for kind in MALFORMED},
        **{kind: simulated(f"fail={kind},long={TOO_LONG_BYTES}") for kind in TOO_LONG},
    }
)
"""`endless` is slow but never silent: only the total deadline, a cancel or a lost client ends it. `closing`
goes on for 1.5 s. `finishing` is under way when the target is told to stop, and ends within its drain, late.
`brief` leaves the time for a lock before it speaks."""
