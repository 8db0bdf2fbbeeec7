"""The file that says what is measured: `[tool.streamgauge]` of a pyproject.toml, or a streamgauge.toml.

What its tables mean stands with those who use them: the target in `load.target.config`, dialects in
`load.drivers.dialects.reading`, accounts and scenarios in `load.scenarios`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
class Configuration:
    """table: what the file says, its top-level keys known. folder: relative paths in it start here."""

    file: Path
    table: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self.file.resolve().parent

    @property
    def where(self) -> str:
        """How messages name it."""
        return self.file.name

    def part(self, name: str) -> Mapping[str, Any]:
        """A table of it; empty where it is not there."""
        found = self.table.get(name, {})
        if not isinstance(found, dict):
            raise UsageError(f"{self.where}: {name} must be a table")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where it is not there."""
        found = self.table.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise UsageError(f"{self.where}: {name} must be a list of texts")
        return tuple(found)

    def parts(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """A list of tables; empty where it is not there."""
        found = self.table.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise UsageError(f"{self.where}: {name} must be a list of tables, [[{name}]]")
        return tuple(found)


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
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{file.name}: {key} is unknown; there are {', '.join(sorted(KEYS))}")
    return Configuration(file, table)
