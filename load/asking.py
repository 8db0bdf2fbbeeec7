"""What was asked for, with the names that only the scenarios know checked."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, replace
from typing import cast

from locust import User
from locust.env import Environment

from load.crowd import MOST_WALKERS
from load.drivers.tls import TRUST
from load.errors import UsageError
from load.options import Options, read_options
from load.scenarios.base import AgentUser
from load.scenarios.failures import ROWS
from load.scenarios.own import Own, read_own
from load.scenarios.planned import kinds_of, users_of
from load.scenarios.profile import DEFAULTS
from load.scenarios.replay import read_offsets
from load.verdict.objective import Objective, read_objective
from load.verdict.search import of_a_step

EVERYBODY_STARTS = "never_started count < 1"


@dataclass(frozen=True, slots=True)
class Asked:
    """kinds: every kind of user there is. mix_given: whether somebody asked for the mix. offsets_ns: the
    arrivals of a trace, empty without one."""

    options: Options
    own: Own | None
    kinds: tuple[type[AgentUser], ...]
    objectives: tuple[Objective, ...]
    offsets_ns: tuple[int, ...]
    mix_given: bool


def ask(parsed: Namespace, environment: Environment) -> Asked:
    """parsed: the command line; in the web UI, with what the form said. Raises UsageError in one line."""
    options = read_options(parsed, environment.host, DEFAULTS)
    TRUST.use(options.tls_ca, insecure=options.insecure)
    own = read_own(options)
    kinds = _kinds(environment, options, own)
    names = {kind.scenario: kind for kind in kinds}
    rows = ROWS if own is None else {}
    offsets_ns = () if options.replay is None else read_offsets(options.replay, ROWS)
    texts = _objectives(options, own)
    objectives = tuple(read_objective(text, [*names, *rows]) for text in texts)
    for name in options.scenarios:
        if name not in names and name not in rows:
            raise UsageError(f"--scenario {name}: unknown; there are {', '.join([*names, *rows])}")
    given = parsed.mix != DEFAULTS.mix
    if options.is_open:
        # Failure users come beside the pool, and each user has an account.
        options = replace(options, users=(options.max_in_flight or options.users) + MOST_WALKERS)
    if not given:
        # Plans have weights of their own, and a locustfile the users it wants.
        there = {} if own is not None else names
        options = replace(options, mix={name: n for name, n in options.mix.items() if name in there})
    for name in options.mix:
        if name not in names:
            raise UsageError(f"--mix {name}: unknown; there are {', '.join(names)}")
    return Asked(options, own, kinds, objectives, tuple(offsets_ns), given)


def _objectives(options: Options, own: Own | None) -> tuple[str, ...]:
    """As they are written, those of a kind of load among them."""
    texts = options.objectives or (own.objectives if own is not None else ())
    if options.find_capacity:
        texts = of_a_step(texts)
    if options.is_open and not any(text.startswith("never_started") for text in texts):
        texts = (*texts, EVERYBODY_STARTS)
    return texts


def _kinds(environment: Environment, options: Options, own: Own | None) -> tuple[type[AgentUser], ...]:
    """The user classes of the configuration and of `--scenarios`, and those of the locustfile that are ours;
    the bundled backend's stay away from a target of the user's own."""
    # Locust's annotation says instances; these are classes.
    found = cast("dict[str, type[User]]", environment.available_user_classes or {})
    ours = [kind for kind in found.values() if issubclass(kind, AgentUser)]
    if own is not None:
        ours = [kind for kind in ours if not kind.__module__.startswith("load.scenarios.")]
        ours += kinds_of(own.plans)
    return (*ours, *(kind for file in options.scenario_files for kind in users_of(file)))
