"""The text of one option as a value. Raises UsageError: the option, what was given, what is possible."""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from load.errors import UsageError
from load.options.asked import Rate, Stage

MOST_PER_S: Final = 100_000


def read_file(option: str, name: str) -> Path | None:
    """A file that has to be there; None where none was named."""
    if name and not Path(name).is_file():
        raise UsageError(f"{option} {name}: no such file")
    return Path(name) if name else None


def read_config(parsed: argparse.Namespace) -> Path | None:
    """The file of `--config`, unless it is one of Locust's own kind."""
    file = getattr(parsed, "config", None)
    return Path(file) if file and Path(file).suffix == ".toml" else None


def read_rate(text: str) -> Rate | None:
    """None where nothing was said."""
    if not text.strip():
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/(s|m)(,\s*poisson)?", text.strip())
    if found is None or not 0 < float(found[1]) <= MOST_PER_S:
        raise UsageError(f"--rate {text}: must read like 40/s, 30/m or 40/s,poisson, at most {MOST_PER_S}/s")
    return Rate(float(found[1]) / (60 if found[2] == "m" else 1), found[3] is not None)


def read_stages(text: str) -> tuple[Stage, ...]:
    """Empty where nothing was said."""
    stages = []
    for item in split(text):
        found = re.fullmatch(r"(\d+):(\d+)(s|m|h)?", item)
        if found is None or not int(found[2]):
            raise UsageError(f"--stages {text}: '{item}' must read N:TIME, for example 10:30s or 50:2m")
        stages.append(Stage(int(found[1]), int(found[2]) * {"m": 60, "h": 3600}.get(found[3], 1)))
    return tuple(stages)


def read_mix(text: str) -> Mapping[str, int]:
    mix: dict[str, int] = {}
    for item in split(text):
        name, equals, weight = item.partition("=")
        if not (name and equals and weight.strip().isdecimal()):
            raise UsageError(f"--mix {text}: '{item}' must read NAME=WEIGHT, for example chat_ws=70")
        mix[name.strip()] = int(weight)
    if text.strip() and not any(mix.values()):
        raise UsageError(f"--mix {text}: at least one weight must be above 0")
    return MappingProxyType(mix)


def read_seed(text: str) -> int:
    """One at random where nothing was said."""
    if not str(text).strip():
        return secrets.randbits(32)
    if not str(text).strip().isdecimal():
        raise UsageError(f"--seed {text}: must be a whole number, 0 or more")
    return int(text)


def read_seconds(option: str, text: str | float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise UsageError(f"{option} {text}: must be a number of seconds above 0 and at most 3600")
    return value


def read_choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:  # the web form can send anything
        raise UsageError(f"{option} {value}: must be one of {', '.join(choices)}")
    return value


def split(text: str) -> list[str]:
    """What stands between commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def listed(value: str | list[str] | None) -> list[str]:
    """Of a repeatable option: the command line gives a list, the web form one text."""
    return [value] if isinstance(value, str) else list(value or [])
