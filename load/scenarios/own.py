"""A target of the user's own: what starts it, who its users are, what they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from load.configuration import read_configuration
from load.errors import TargetDown, UsageError
from load.options import Options
from load.scenarios.accounts import Auth
from load.scenarios.auth import BEARER, read_auth, tokens_of_environment
from load.scenarios.plans import Plan, plan_of_protocol, read_plans
from load.target.config import ROOT, CoverageMode, TargetConfig, configured_target
from load.verdict.rules import Rules, read_rules


@dataclass(frozen=True, slots=True)
class Own:
    """target: None for a server that runs already. objectives: as they are written. where: the file that
    says all this; empty for options. rules: what must be covered."""

    target: TargetConfig | None
    auth: Auth
    plans: tuple[Plan, ...]
    objectives: tuple[str, ...] = ()
    where: str = ""
    rules: Rules = field(default_factory=Rules)

    @contextmanager
    def naming(self, keys: str) -> Iterator[None]:
        """Says in which file, and at which keys, what goes wrong inside can be mended."""
        try:
            yield
        except (TargetDown, UsageError) as error:
            if not self.where or str(error).startswith(self.where):
                raise
            raise type(error)(f"{self.where}: {error} ({keys})") from error

    def coming(self, failures: str) -> tuple[Plan, ...]:
        """The plans that `--failures` lets come."""
        if failures == "all":
            return self.plans
        return tuple(
            plan for plan in self.plans if plan.harmless and not (failures == "none" and plan.of_failures)
        )

    def first_of_each_wire(self, failures: str) -> tuple[Plan, ...]:
        """One plan for each dialect, of those that end in an answer."""
        first: dict[str, Plan] = {}
        for plan in self.coming(failures):
            if not plan.of_failures:
                first.setdefault(f"{plan.dialect.name} {plan.dialect.path}", plan)
        return tuple(first.values())


def read_own(options: Options) -> Own | None:
    """What the options describe; None for the bundled backend, or one like it.

    Raises UsageError in one line for what the user can mend.
    """
    if options.config is not None:
        configuration = read_configuration(options.config)
        plans = read_plans(configuration)
        if not plans:
            raise UsageError(f"{configuration.where}: no [[scenario]]; at least one says what users do")
        auth = read_auth(configuration)
        if options.token_env is not None:
            auth = replace(auth, tokens=tokens_of_environment(options.token_env, "--token-env"), login=None)
        target = configured_target(configuration) if options.host is None else None
        return Own(
            _covered(target, options),
            auth,
            plans,
            configuration.table.texts("objectives"),
            configuration.where,
            read_rules(configuration.table),
        )
    if options.protocol is None:
        return None
    plans = (plan_of_protocol(options.protocol, options.model),)
    auth = Auth({})
    if options.token_env is not None:
        auth = Auth({"header": BEARER}, tokens=tokens_of_environment(options.token_env, "--token-env"))
    app = None
    if options.app is not None:
        app = TargetConfig(options.app, options.app_dir.resolve(), source=options.cov_source)
    return Own(_covered(app, options), auth, plans)


def _covered(target: TargetConfig | None, options: Options) -> TargetConfig | None:
    if target is None or target.command:
        return target
    return replace(target, coverage=cast("CoverageMode", options.coverage))


def read_bundled_rules() -> Rules:
    """What must be covered of the bundled backend."""
    return read_rules(read_configuration(ROOT / "pyproject.toml").table)
