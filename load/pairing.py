"""What is compared: the two trees, servers or apps of a comparison, and how each is started."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from load.arms import Arm, Arms, named
from load.errors import LoadError, UsageError
from load.loadrun import LoadRun
from load.options import Options
from load.scenarios.accounts import Auth
from load.scenarios.own import Own
from load.scenarios.paired import ARMS, BASE, LIMITS, MODEL
from load.scenarios.plans import Plan
from load.scenarios.profile import provider_env
from load.scenarios.running import agents_there, given_tokens
from load.target.config import TargetConfig, bundled
from load.target.interpreter import Packages, for_base
from load.target.provider import Provider
from load.target.refs import Base, Trees, resolve
from load.verdict.decided import Arms as Names

BUNDLED: Final = "chat_ws"
HERE: Final = "working tree"
SETTINGS: Final = MappingProxyType(
    {
        # A paired user sends about five messages a second, and is silent between two blocks.
        "BACKEND_RATE_MESSAGES_PER_MIN": "1000000",
        "BACKEND_RATE_BURST": "1000000",
        "BACKEND_WS_FRAMES_PER_SEC": "10000",
        "BACKEND_WS_PING_INTERVAL": "600",
        "BACKEND_DRAIN_TIMEOUT": "0",
    }
)
MOST_CHANGES: Final = 20
"""Packages that a report names."""


@dataclass(slots=True)
class Pairing:
    """What there is so far of a comparison that is prepared; `close` undoes it, and may be called again."""

    run: LoadRun
    own: Own | None
    trees: Trees | None = None
    arms: Arms | None = None
    notes: list[str] = field(default_factory=list)
    _resolved: Base | None = None

    def start(self) -> Arms:
        """Both arms, running, each of which has answered once.

        Raises UsageError for what the user can mend, TargetDown when head does not start, InvalidRun when
        base does not.
        """
        options, plan = self.run.options, self.plan
        pair = (None, None) if options.host is not None else self._configs()
        if pair[0] is not None and (plan is None or pair[0].asks_upstream):
            self.run.provider = Provider(self.run.folder)
        base, head = (self._arm(name, config, plan) for name, config in zip(ARMS, pair, strict=True))
        arms = self.arms = Arms(base, head, trace=options.trace_headers)
        arms.start()
        arms.try_both()
        return arms

    def close(self) -> None:
        """Leaves nothing running, and no trees."""
        if self.arms is not None:
            self.arms.stop()
        if self.trees is not None:
            self.trees.remove()

    @property
    def plan(self) -> Plan | None:
        """What is said to a target of the user's own; None for the bundled backend."""
        scenarios = self.run.options.scenarios
        if self.own is not None:
            return _plan(self.own, scenarios)
        if scenarios not in ((), (BUNDLED,)):
            raise UsageError(f"--scenario {', '.join(scenarios)}: a comparison speaks {BUNDLED} alone")
        return None

    @property
    def scenario(self) -> str:
        """Its name."""
        return BUNDLED if self.plan is None else self.plan.name

    @property
    def model(self) -> str:
        """What answers in both arms; empty for a provider of the user's own."""
        options, plan = self.run.options, self.plan
        if options.host is not None or (plan is not None and not plan.values["model"].startswith("sim:")):
            return ""
        return options.model or MODEL

    def names(self) -> Names:
        """Both arms as reports tell them."""
        options = self.run.options
        return Names(
            base=self._base_name(options),
            head=HERE if options.host is None else options.host,
            paired_by="seed" if self.run.provider is not None and self.model else "prompt",
            restarted=options.host is None,
            notes=tuple(self.notes),
        )

    def _base_name(self, options: Options) -> str:
        if options.base is not None:
            return str(self._resolved)
        return options.base_app or options.base_host or HERE

    # -- what is started

    def _configs(self) -> tuple[TargetConfig, TargetConfig]:
        """For base and head."""
        options = self.run.options
        if self.own is None:
            head = bundled(options.users, SETTINGS, app_dir=options.app_dir.resolve())
        else:
            assert self.own.target is not None, "only a server that runs already has none"
            head = self.own.target
        env = {**head.env, "PYTHONHASHSEED": "random"}
        head = replace(head, coverage="off", probes=False, env=env)
        if options.base_app is not None:
            if not head.app:
                raise UsageError("--base-app: the target is a command; compare two commits with --base")
            return replace(head, app=options.base_app), head
        self._resolved = resolve(options.base or "HEAD", head.app_dir)
        trees = self.trees = Trees()
        copy = replace(head, app_dir=trees.head(self._resolved))
        if options.selfcheck:
            return copy, copy
        tree = trees.base(self._resolved)
        packages = for_base(trees.folder / "base", trees.folder / "head", self._resolved.inside, head.python)
        self._note(self._resolved, packages)
        return replace(head, app_dir=tree, python=packages.python), copy

    def _note(self, base: Base, packages: Packages) -> None:
        """What a reader needs to know of the two trees."""
        if base.ahead:
            commits = "1 commit" if base.ahead == 1 else f"{base.ahead} commits"
            self.notes.append(f"{base} has {commits} that the working tree has not; they count as its doing.")
        changed = [f"{name} {old or '-'} -> {new or '-'}" for name, (old, new) in packages.changed.items()]
        if changed:
            more = f", and {len(changed) - MOST_CHANGES} more" if len(changed) > MOST_CHANGES else ""
            self.notes.append(f"Packages differ: {', '.join(changed[:MOST_CHANGES])}{more}.")

    def _arm(self, name: str, config: TargetConfig | None, plan: Plan | None) -> Arm:
        options, run = self.run.options, self.run
        folder = run.folder / "arms" / name
        auth = Auth({}) if self.own is None else self.own.auth
        if config is None:
            url = ((options.base_host if name == BASE else options.host) or "").rstrip("/")
            if plan is not None:
                return Arm(name, folder, None, plan, auth, "", url=url)
            tokens = given_tokens(options)
            agent = _agent_there(name, url, tokens)
            return Arm(name, folder, None, None, auth, "", url=url, tokens=tokens, agent=agent)
        places = {"users": str(options.users)}
        if run.provider is not None:
            places |= {"upstream": run.provider.url, "closed": run.provider.closed_url}
            if plan is None:
                told = provider_env(run.provider.url, run.provider.closed_url)
                config = replace(config, env={**config.env, **told})
        return Arm(name, folder, config, plan, auth, self.model, places)


def _agent_there(arm: str, url: str, tokens: tuple[str, ...]) -> str:
    try:
        return agents_there(url, tokens, LIMITS)["steady"]
    except LoadError as error:
        raise named(arm, error) from error


def _plan(own: Own, scenarios: tuple[str, ...]) -> Plan:
    """What is said to a target of the user's own: the scenario that was named, else the first that ends in an
    answer."""
    plans = [plan for plan in own.plans if not plan.of_failures]
    if scenarios:
        plans = [plan for plan in plans if plan.name == scenarios[0]]
        if len(scenarios) > 1 or not plans:
            raise UsageError(
                f"--scenario {', '.join(scenarios)}: a comparison speaks one that ends in an answer"
            )
    if not plans:
        raise UsageError(f"{own.where}: no scenario ends in an answer, so there is nothing to compare")
    return plans[0]
