"""`report.html`: one file that opens from disk and asks for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from load.report.layout import Sheet

TEMPLATES: Final = Path(__file__).with_name("templates")


def render(told: Sheet) -> str:
    """The page. Every value is escaped: some are words of the target."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(sheet=told)
