"""The options as Locust's parser and the web UI's form have them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from load.options.asked import Defaults

FAILURES: Final = ("all", "harmless", "none")
ARRIVALS: Final = ("poisson", "constant", "closed")
UNDECIDED: Final = ("fail", "warn")
COVERAGE: Final = ("auto", "branch", "off")
PROTOCOLS: Final[Mapping[str, str | None]] = MappingProxyType(
    {"": None, "agentchat": None, "openai": "openai-chat", "anthropic": "anthropic-messages"}
)
"""Short names; None is what the bundled backend speaks."""


class _Named(argparse.Action):
    """Keeps a name that is one: an empty one, of a variable that is not set, would ask for something else."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if not str(values).strip():
            raise argparse.ArgumentError(self, "must not be empty")
        setattr(namespace, self.dest, values)


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
    add("--model", default="", metavar="NAME", help="with --protocol or --base: the model that requests name")
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
    add("--base", action=_Named, default="", metavar="REF", help="compare the working tree with this commit")
    add(
        "--base-app",
        action=_Named,
        default="",
        metavar="MODULE:APP",
        help="compare with another app of the same folder",
    )
    add(
        "--base-host",
        action=_Named,
        default="",
        metavar="URL",
        help="with --host: compare with another running server",
    )
    add(
        "--baseline",
        default="",
        metavar="FILE",
        help="the run.json of a run that this one may not be far behind",
    )
    add(
        "--baseline-required",
        action="store_true",
        default=False,
        help="exit 6 where --baseline is not comparable, instead of a warning",
    )
    add(
        "--selfcheck",
        action="store_true",
        default=False,
        help="whether a comparison on this machine finds what it should, and nothing else",
    )
    add("--think-s", default="", metavar="S", help="mean time between two starts of a user")
    add("--reports", default="reports", metavar="DIR", help="where each run leaves its folder")
    add(
        "--no-trace-headers",
        action="store_true",
        default=False,
        help="send no traceparent and X-Correlation-Id",
    )
