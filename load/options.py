"""The command line and the web UI's start form, frozen into one `Options`.

`add_options` is handed Locust's parser; this file imports no Locust. Names of scenarios are checked by
`load.plugin`, which knows them.
"""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from load.errors import UsageError

FAILURES: Final = ("all", "harmless", "none")
ARRIVALS: Final = ("poisson", "constant", "closed")
UNDECIDED: Final = ("fail", "warn")
MOST_PER_S: Final = 100_000
COVERAGE: Final = ("auto", "branch", "off")
PROTOCOLS: Final[Mapping[str, str | None]] = MappingProxyType(
    {"": None, "agentchat": None, "openai": "openai-chat", "anthropic": "anthropic-messages"}
)
"""Short names; None is what the bundled backend speaks."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the default profile gives where the user says nothing.

    host_think_s: a server that others use, with limits that we did not set, is asked less often.
    """

    users: int
    spawn_rate: float
    run_time: str
    think_s: float
    host_think_s: float
    mix: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Arrivals of open load: at random, or evenly spaced."""

    per_s: float
    poisson: bool = False

    @property
    def given(self) -> str:
        """As the option has it."""
        return f"{self.per_s:g}/s{',poisson' if self.poisson else ''}"

    def __str__(self) -> str:
        return f"{self.per_s:g}/s, {'poisson' if self.poisson else 'evenly spaced'}"


@dataclass(frozen=True, slots=True)
class Stage:
    """So many users for so long."""

    users: int
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, checked.

    run_time_s: None runs until stopped. host: a server that already runs; None starts the backend in
    `app_dir`. tls_ca: the authority that is believed, None for those of the system. config, app: what
    describes a target of the user's own. protocol: None for that of the bundled backend. scenarios: empty for
    all. mix: weight of each scenario, empty for the profile's. max_in_flight: None for as many as users.
    find_capacity: users, or the rate, are the most that may come.
    """

    users: int
    spawn_rate: float
    run_time_s: float | None
    host: str | None
    token_env: str | None
    config: Path | None
    app: str | None
    app_dir: Path
    cov_source: tuple[str, ...]
    protocol: str | None
    model: str
    scenario_files: tuple[Path, ...]
    coverage: str
    objectives: tuple[str, ...]
    undecided: str
    scenarios: tuple[str, ...]
    mix: Mapping[str, int]
    failures: str
    prompts: Path | None
    seed: int
    arrivals: str
    think_s: float
    reports: Path
    trace_headers: bool
    tls_ca: Path | None = None
    insecure: bool = False
    rate: Rate | None = None
    replay: Path | None = None
    max_in_flight: int | None = None
    stages: tuple[Stage, ...] = ()
    find_capacity: bool = False

    @property
    def is_open(self) -> bool:
        """Whether streams start without regard to how many are under way."""
        return self.rate is not None or self.replay is not None

    @property
    def is_corrected(self) -> bool:
        """Whether there are intended starts that an answer does not put off."""
        return self.is_open or self.arrivals != "closed"

    @property
    def loop(self) -> str:
        """What kind of load it is, for a report."""
        if self.is_open:
            return "open load"
        return "corrected closed loop" if self.is_corrected else "closed loop"


def add_options(parser: argparse.ArgumentParser, defaults: Defaults) -> None:
    """Adds Streamgauge's options to Locust's parser; README.md has the same table."""
    parser.allow_abbrev = False  # Locust would take `--headles` for `--headless`
    parser.set_defaults(
        num_users=defaults.users,
        spawn_rate=defaults.spawn_rate,
        run_time=defaults.run_time,
        stop_timeout="10",
    )
    add = parser.add_argument  # in a group of their own they would be missing from the web form
    # `--config` is Locust's: it takes its own options from [tool.locust] of the same file.
    add("--app", default="", metavar="MODULE:APP", help="your own ASGI app, without a file")
    add(
        "--app-dir",
        default=".",
        metavar="DIR",
        help="where --app is imported; another checkout of the backend",
    )
    add("--cov-source", default="", metavar="NAME,…", help="with --app: packages whose lines are measured")
    add("--protocol", default="", metavar="NAME", help="what --app or --host speaks: openai, agentchat, …")
    add("--model", default="", metavar="NAME", help="with --protocol: the model that requests name")
    add("--scenarios", default="", metavar="FILE", help="Python files with users of your own")
    add(
        "--coverage",
        default="auto",
        choices=COVERAGE,
        help="lines with the cheapest core, branches, or nothing",
    )
    add(
        "--token-env",
        default="",
        metavar="NAME",
        help="with --host: the variable that holds the bearer token(s)",
    )
    add("--tls-ca", default="", metavar="FILE", help="the authority (PEM) of an https:// target")
    add(
        "--insecure",
        action="store_true",
        default=False,
        help="believe any certificate of an https:// target",
    )
    add("--objective", action="append", default=None, metavar="TEXT", help="a threshold; repeatable")
    add("--undecided", default="fail", choices=UNDECIDED, help="what INCONCLUSIVE costs: exit 5, or 0")
    # No list as default: the web form would turn its names into integers.
    add("--scenario", action="append", default=None, metavar="NAME", help="this scenario alone; repeatable")
    add("--mix", default=defaults.mix, metavar="NAME=WEIGHT,…", help="how many users of each kind come")
    add(
        "--failures",
        default="",
        choices=("", *FAILURES),
        help="which failures come: all, with --host harmless",
    )
    add("--prompts", default="", metavar="FILE", help="your own messages: JSONL, or ShareGPT-style JSON")
    add("--seed", default="", metavar="N", help="the same prompts, order and arrivals again")
    add("--arrivals", default="poisson", choices=ARRIVALS, help="the schedule of each user")
    add("--rate", default="", metavar="N/s[,poisson]", help="open load: so many streams, whoever is busy")
    add("--replay", default="", metavar="FILE", help="open load: the arrivals of a recorded trace")
    add("--max-in-flight", default="", metavar="N", help="with --rate or --replay: at most so many at once")
    add("--stages", default="", metavar="N:TIME,…", help="steps of users: 10:30s,50:60s")
    add(
        "--find-capacity",
        action="store_true",
        default=False,
        help="the largest load within the objectives; -u or --rate is the most that may come",
    )
    add("--think-s", default="", metavar="S", help="mean time between two starts of a user")
    add("--reports", default="reports", metavar="DIR", help="where each run leaves its folder")
    add(
        "--no-trace-headers",
        action="store_true",
        default=False,
        help="send no traceparent and X-Correlation-Id",
    )


def read_options(parsed: argparse.Namespace, host: str | None, defaults: Defaults) -> Options:
    """`parsed` checked and frozen.

    Raises UsageError with one line that names the option, what was given and what is possible.
    """
    stages = _stages(parsed.stages)
    users = max((stage.users for stage in stages), default=parsed.num_users)
    if users is None or users < 1:
        raise UsageError(f"--users {users}: at least one user is needed")
    if not parsed.spawn_rate or parsed.spawn_rate <= 0:
        raise UsageError(f"--spawn-rate {parsed.spawn_rate}: must be above 0")
    host = (host or "").strip() or None
    if host and not host.startswith(("http://", "https://")):
        raise UsageError(f"--host {host}: must start with http:// or https://")
    app_dir = Path(parsed.app_dir)
    if not app_dir.is_dir():
        raise UsageError(f"--app-dir {parsed.app_dir}: no such folder")
    files = tuple(Path(name) for name in _split(parsed.scenarios))
    for file in files:
        if not file.is_file():
            raise UsageError(f"--scenarios {file}: no such file")
    _check_target(parsed, host)
    _check_load(parsed)
    _check_search(parsed)
    return Options(
        users=users,
        spawn_rate=float(parsed.spawn_rate),
        run_time_s=_run_time_s(parsed, stages),
        host=host,
        token_env=parsed.token_env or None,
        config=_config(parsed),
        app=parsed.app or None,
        app_dir=app_dir,
        cov_source=tuple(_split(parsed.cov_source)),
        protocol=PROTOCOLS.get(parsed.protocol, parsed.protocol),
        model=parsed.model,
        scenario_files=files,
        coverage=_coverage(parsed),
        objectives=tuple(
            line for item in _listed(parsed.objective) for line in item.splitlines() if line.strip()
        ),
        undecided=_choice("--undecided", parsed.undecided, UNDECIDED),
        scenarios=tuple(dict.fromkeys(name for item in _listed(parsed.scenario) for name in _split(item))),
        mix=_mix(parsed.mix),
        failures=_failures(parsed, host),
        prompts=_file("--prompts", parsed.prompts),
        seed=_seed(parsed.seed),
        arrivals=_choice("--arrivals", parsed.arrivals, ARRIVALS),
        think_s=_seconds(
            "--think-s", parsed.think_s or (defaults.host_think_s if host else defaults.think_s)
        ),
        reports=Path(parsed.reports),
        trace_headers=not parsed.no_trace_headers,
        tls_ca=_file("--tls-ca", parsed.tls_ca),
        insecure=parsed.insecure,
        rate=_rate(parsed.rate),
        replay=_file("--replay", parsed.replay),
        max_in_flight=_max_in_flight(parsed),
        stages=stages,
        find_capacity=parsed.find_capacity,
    )


def _file(option: str, name: str) -> Path | None:
    """A file that has to be there; None where none was named."""
    if name and not Path(name).is_file():
        raise UsageError(f"{option} {name}: no such file")
    return Path(name) if name else None


def _config(parsed: argparse.Namespace) -> Path | None:
    """The file of `--config`, unless it is one of Locust's own kind."""
    file = getattr(parsed, "config", None)
    return Path(file) if file and Path(file).suffix == ".toml" else None


def _check_target(parsed: argparse.Namespace, host: str | None) -> None:
    """That the options name one target, and what it speaks."""
    config = _config(parsed)
    if parsed.app and (host or config):
        other = f"--host {host}" if host else f"--config {config}"
        raise UsageError(f"--app {parsed.app} and {other} name two targets; drop one")
    if parsed.app and not PROTOCOLS.get(parsed.protocol, parsed.protocol):
        raise UsageError(
            f"--app {parsed.app}: say what it speaks with --protocol, or describe it by --config"
        )
    if parsed.protocol and config:
        raise UsageError(f"--protocol {parsed.protocol}: the scenarios of --config name their own")
    if parsed.cov_source and not parsed.app:
        raise UsageError(f"--cov-source {parsed.cov_source}: only with --app; --config has its own source")


def _check_load(parsed: argparse.Namespace) -> None:
    """That one thing says how many streams come."""
    given = [name for name in ("rate", "replay", "stages") if getattr(parsed, name)]
    if len(given) > 1:
        one, other = (f"--{name} {getattr(parsed, name)}" for name in given[:2])
        raise UsageError(f"{one} and {other} both say how many come; drop one")
    if given and given[0] != "stages" and parsed.arrivals == "closed":
        raise UsageError(f"--arrivals closed: --{given[0]} is open load, nobody waits for an answer there")


def _check_search(parsed: argparse.Namespace) -> None:
    """That nothing else decides how many come, or has to be merged before a step can be judged."""
    if not parsed.find_capacity:
        return
    for name in ("stages", "replay"):
        if getattr(parsed, name):
            given = f"--{name} {getattr(parsed, name)}"
            raise UsageError(f"--find-capacity and {given} both say how many come; drop one")
    for name in ("processes", "master", "worker"):
        if getattr(parsed, name, None):
            raise UsageError(f"--find-capacity judges each step in one process; drop --{name}")
    if parsed.failures not in ("", "none"):
        raise UsageError(
            f"--find-capacity and --failures {parsed.failures}: only ordinary users come; drop one"
        )
    if parsed.coverage == "branch":
        raise UsageError("--find-capacity and --coverage branch: the tracer would be measured, too; drop one")


def _coverage(parsed: argparse.Namespace) -> str:
    chosen = _choice("--coverage", parsed.coverage, COVERAGE)
    return "off" if parsed.find_capacity else chosen


def _failures(parsed: argparse.Namespace, host: str | None) -> str:
    default = "none" if parsed.find_capacity else "harmless" if host else "all"
    return _choice("--failures", parsed.failures or default, FAILURES)


def _rate(text: str) -> Rate | None:
    if not text.strip():
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/(s|m)(,\s*poisson)?", text.strip())
    if found is None or not 0 < float(found[1]) <= MOST_PER_S:
        raise UsageError(f"--rate {text}: must read like 40/s, 30/m or 40/s,poisson, at most {MOST_PER_S}/s")
    return Rate(float(found[1]) / (60 if found[2] == "m" else 1), found[3] is not None)


def _max_in_flight(parsed: argparse.Namespace) -> int | None:
    text = str(parsed.max_in_flight).strip()
    if not text:
        return None
    if not (parsed.rate or parsed.replay):
        raise UsageError(f"--max-in-flight {text}: only with --rate or --replay; -u says how many users come")
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--max-in-flight {text}: must be a whole number, 1 or more")
    return int(text)


def _stages(text: str) -> tuple[Stage, ...]:
    stages = []
    for item in _split(text):
        found = re.fullmatch(r"(\d+):(\d+)(s|m|h)?", item)
        if found is None or not int(found[2]):
            raise UsageError(f"--stages {text}: '{item}' must read N:TIME, for example 10:30s or 50:2m")
        stages.append(Stage(int(found[1]), int(found[2]) * {"m": 60, "h": 3600}.get(found[3], 1)))
    return tuple(stages)


def _run_time_s(parsed: argparse.Namespace, stages: tuple[Stage, ...]) -> float | None:
    """Stages end the run themselves."""
    if stages:
        return sum(stage.lasts_s for stage in stages)
    return float(parsed.run_time) if parsed.run_time else None


def _mix(text: str) -> Mapping[str, int]:
    mix: dict[str, int] = {}
    for item in _split(text):
        name, equals, weight = item.partition("=")
        if not (name and equals and weight.strip().isdecimal()):
            raise UsageError(f"--mix {text}: '{item}' must read NAME=WEIGHT, for example chat_ws=70")
        mix[name.strip()] = int(weight)
    if text.strip() and not any(mix.values()):
        raise UsageError(f"--mix {text}: at least one weight must be above 0")
    return MappingProxyType(mix)


def _seed(text: str) -> int:
    if not str(text).strip():
        return secrets.randbits(32)
    if not str(text).strip().isdecimal():
        raise UsageError(f"--seed {text}: must be a whole number, 0 or more")
    return int(text)


def _seconds(option: str, text: str | float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise UsageError(f"{option} {text}: must be a number of seconds above 0 and at most 3600")
    return value


def _choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:  # the web form can send anything
        raise UsageError(f"{option} {value}: must be one of {', '.join(choices)}")
    return value


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
