"""The README's tables say what the code does."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from load.errors import ExitCode
from load.options import add_options
from load.scenarios.profile import DEFAULTS

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below `heading`, without its head."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def test_every_option_stands_in_the_readme() -> None:
    """Exactly our options, each with the choices it takes and the default it has."""
    parser = argparse.ArgumentParser(add_help=False)
    add_options(parser, DEFAULTS)
    documented = {row[0].strip("`").split()[0]: row for row in table("Options")}

    assert set(documented) == {action.option_strings[0] for action in parser._actions}  # noqa: SLF001
    for action in parser._actions:  # noqa: SLF001  # argparse has no public list
        option, _, default = documented[action.option_strings[0]]
        if action.choices:
            shown = option.strip("`").split(" ", 1)[1].replace("\\|", "|").split("|")
            assert shown == [choice for choice in action.choices if choice]
        if action.default not in (None, "", False, "."):
            assert default.strip("`") == str(action.default)


def test_every_exit_code_stands_in_the_readme() -> None:
    """Number and name of each, in the order of the numbers."""
    assert [(row[0], row[1]) for row in table("Exit codes")] == [
        (str(int(code)), code.name) for code in sorted(ExitCode)
    ]
