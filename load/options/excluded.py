"""What cannot be asked for together. Each check raises UsageError with one line that says what to drop."""

from __future__ import annotations

import argparse

from load.errors import UsageError
from load.options.offered import PROTOCOLS
from load.options.values import read_config


def check_target(parsed: argparse.Namespace, host: str | None) -> None:
    """That the options name one target, and what it speaks."""
    config = read_config(parsed)
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


def check_base(parsed: argparse.Namespace, host: str | None) -> None:
    """That a comparison has one base, and that nothing else says what its load is."""
    named = {"base": parsed.base, "base-app": parsed.base_app, "base-host": parsed.base_host}
    given = [f"--{name} {value}" for name, value in named.items() if value]
    given += ["--selfcheck"] if parsed.selfcheck else []
    if not given:
        return
    base = given[0]
    if len(given) > 1:
        raise UsageError(f"{base} and {given[1]} name two bases; drop one")
    if parsed.base_host and not parsed.base_host.startswith(("http://", "https://")):
        raise UsageError(f"{base}: must start with http:// or https://")
    if parsed.base_host and not host:
        raise UsageError(f"{base}: compares two servers that run; name the other with --host")
    if host and not parsed.base_host:
        raise UsageError(
            f"{base} starts both servers; drop --host {host}, or name the other with --base-host"
        )
    for name in ("processes", "master", "worker"):
        if getattr(parsed, name, None):
            raise UsageError(f"{base.split()[0]} compares two servers from one generator; drop --{name}")
    for name in ("stages", "rate", "replay", "find_capacity"):
        if getattr(parsed, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{base}: the blocks of a comparison are its load; drop {option}")
    if parsed.objective:
        raise UsageError(
            f"{base}: objectives are not judged, blocks are not the profile's load; drop --objective"
        )
    if parsed.coverage == "branch":
        raise UsageError(f"{base}: nothing is covered in a comparison; drop --coverage branch")


def check_baseline(parsed: argparse.Namespace) -> None:
    """That the run is one of those that a stored one can be held against."""
    if parsed.baseline_required and not parsed.baseline:
        raise UsageError("--baseline-required: name the run with --baseline")
    if not parsed.baseline:
        return
    for name in ("base", "base_app", "base_host", "selfcheck", "find_capacity"):
        if getattr(parsed, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"--baseline {parsed.baseline}: not with {option}, whose load is another; drop one"
            )


def check_load(parsed: argparse.Namespace) -> None:
    """That one thing says how many streams come."""
    given = [name for name in ("rate", "replay", "stages") if getattr(parsed, name)]
    if len(given) > 1:
        one, other = (f"--{name} {getattr(parsed, name)}" for name in given[:2])
        raise UsageError(f"{one} and {other} both say how many come; drop one")
    if given and given[0] != "stages" and parsed.arrivals == "closed":
        raise UsageError(f"--arrivals closed: --{given[0]} is open load, nobody waits for an answer there")


def check_search(parsed: argparse.Namespace) -> None:
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
