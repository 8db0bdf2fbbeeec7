"""The file that says what is measured: `[tool.streamgauge]` of a pyproject.toml, or a streamgauge.toml.

What its tables mean stands with those who use them: the target in `load.target.config`, dialects in
`load.drivers.dialects.reading`, accounts and scenarios in `load.scenarios`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from load.errors import UsageError

KEYS: Final = frozenset(
    {"app", "app_dir", "command", "coverage", "drop_env", "env", "python", "ready", "ready_timeout_s"}
    | {"server", "setup", "source", "workers"}
    | {"auth", "dialect", "objectives", "scenario"}
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file, read key by key. where: how messages name it.

    Each method raises UsageError in one line: the place, what is wrong, what is possible.
    """

    values: Mapping[str, Any]
    where: str

    def known(self, names: Collection[str]) -> None:
        """Every key is one of `names`."""
        for name in self.values:
            if name not in names:
                raise UsageError(f"{self.where}: {name} is unknown; there are {', '.join(sorted(names))}")

    def text(self, name: str, default: str | None = None) -> str:
        """A text; one that is not empty where there is no default."""
        found = self.values.get(name, default)
        if not isinstance(found, str) or (default is None and not found):
            raise UsageError(f"{self.where}: {name} must be a text, in quotes")
        return found

    def count(self, name: str, default: int) -> int:
        """A whole number above 0."""
        found = self.values.get(name, default)
        if type(found) is not int or found < 1:
            raise UsageError(f"{self.where}: {name} must be a whole number, 1 or more")
        return found

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        found = self.values.get(name, default)
        if not isinstance(found, bool):
            raise UsageError(f"{self.where}: {name} must be true or false")
        return found

    def one_of(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """One of several words."""
        found = self.values.get(name, default)
        if found not in choices:
            raise UsageError(f"{self.where}: {name} = {found!r}; must be one of {', '.join(choices)}")
        return str(found)

    def table(self, name: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """A table within."""
        found = self.values.get(name, default)
        if not isinstance(found, dict):
            raise UsageError(f"{self.where}: {name} must be a table")
        return found

    def tables(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """A list of tables; empty where it is not there."""
        found = self.values.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise UsageError(f"{self.where}: {name} must be a list of tables, [[{name}]]")
        return tuple(found)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where it is not there."""
        found = self.values.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise UsageError(f"{self.where}: {name} must be a list of texts")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Configuration:
    """table: what the file says, its top-level keys known. folder: relative paths in it start here."""

    file: Path
    table: Table

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self.file.resolve().parent

    @property
    def where(self) -> str:
        """How messages name it."""
        return self.file.name


def read_configuration(file: Path) -> Configuration:
    """Raises UsageError in one line: the file, the key or line, what to do."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"--config {file}: no such file") from error
    except OSError as error:
        raise UsageError(f"--config {file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {file}: {error}") from error
    tool = table.get("tool", {})
    if "streamgauge" in tool:
        table = tool["streamgauge"]
    elif file.name == "pyproject.toml":
        raise UsageError(f"--config {file}: it has no table [tool.streamgauge]; `make init` proposes one")
    found = Table(table, file.name)
    found.known(KEYS)
    return Configuration(file, found)
