"""What was said, as one `Options`: each value read, and checked against the others."""

from __future__ import annotations

import argparse
from pathlib import Path

from load.errors import UsageError
from load.options.asked import Defaults, Options, Stage
from load.options.excluded import check_base, check_baseline, check_load, check_search, check_target
from load.options.offered import ARRIVALS, COVERAGE, FAILURES, PROTOCOLS, UNDECIDED
from load.options.values import (
    listed,
    read_choice,
    read_config,
    read_file,
    read_mix,
    read_rate,
    read_seconds,
    read_seed,
    read_stages,
    split,
)


def read_options(parsed: argparse.Namespace, host: str | None, defaults: Defaults) -> Options:
    """`parsed` checked and frozen.

    Raises UsageError with one line that names the option, what was given and what is possible.
    """
    stages = read_stages(parsed.stages)
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
    files = tuple(Path(name) for name in split(parsed.scenarios))
    for file in files:
        if not file.is_file():
            raise UsageError(f"--scenarios {file}: no such file")
    check_target(parsed, host)
    check_load(parsed)
    check_base(parsed, host)
    check_baseline(parsed)
    check_search(parsed)
    return Options(
        users=users,
        spawn_rate=float(parsed.spawn_rate),
        run_time_s=_run_time_s(parsed, stages),
        host=host,
        token_env=parsed.token_env or None,
        config=read_config(parsed),
        app=parsed.app or None,
        app_dir=app_dir,
        cov_source=tuple(split(parsed.cov_source)),
        protocol=PROTOCOLS.get(parsed.protocol, parsed.protocol),
        model=parsed.model,
        scenario_files=files,
        coverage=_coverage(parsed),
        objectives=tuple(
            line for item in listed(parsed.objective) for line in item.splitlines() if line.strip()
        ),
        undecided=read_choice("--undecided", parsed.undecided, UNDECIDED),
        scenarios=tuple(dict.fromkeys(name for item in listed(parsed.scenario) for name in split(item))),
        mix=read_mix(parsed.mix),
        failures=_failures(parsed, host),
        prompts=read_file("--prompts", parsed.prompts),
        seed=read_seed(parsed.seed),
        arrivals=read_choice("--arrivals", parsed.arrivals, ARRIVALS),
        think_s=read_seconds(
            "--think-s", parsed.think_s or (defaults.host_think_s if host else defaults.think_s)
        ),
        reports=Path(parsed.reports),
        trace_headers=not parsed.no_trace_headers,
        tls_ca=read_file("--tls-ca", parsed.tls_ca),
        insecure=parsed.insecure,
        rate=read_rate(parsed.rate),
        replay=read_file("--replay", parsed.replay),
        max_in_flight=_max_in_flight(parsed),
        stages=stages,
        find_capacity=parsed.find_capacity,
        selfcheck=parsed.selfcheck,
        baseline=Path(parsed.baseline) if parsed.baseline else None,
        baseline_required=parsed.baseline_required,
        base=parsed.base or None,
        base_app=parsed.base_app or None,
        base_host=parsed.base_host.strip() or None,
    )


def _coverage(parsed: argparse.Namespace) -> str:
    chosen = read_choice("--coverage", parsed.coverage, COVERAGE)
    return "off" if parsed.find_capacity else chosen


def _failures(parsed: argparse.Namespace, host: str | None) -> str:
    default = "none" if parsed.find_capacity else "harmless" if host else "all"
    return read_choice("--failures", parsed.failures or default, FAILURES)


def _max_in_flight(parsed: argparse.Namespace) -> int | None:
    text = str(parsed.max_in_flight).strip()
    if not text:
        return None
    if not (parsed.rate or parsed.replay):
        raise UsageError(f"--max-in-flight {text}: only with --rate or --replay; -u says how many users come")
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--max-in-flight {text}: must be a whole number, 1 or more")
    return int(text)


def _run_time_s(parsed: argparse.Namespace, stages: tuple[Stage, ...]) -> float | None:
    """Stages end the run themselves."""
    if stages:
        return sum(stage.lasts_s for stage in stages)
    return float(parsed.run_time) if parsed.run_time else None
