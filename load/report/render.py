"""Writes what a run leaves. The data come first, and no rendering can cost them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from jinja2 import TemplateError

from load.errors import InvalidRun
from load.report import html, junit, markdown
from load.report.document import FORMAT, Document
from load.report.paths import Map
from load.report.sheet import sheet
from load.report.store import point_latest, write_atomically

Render: TypeAlias = Callable[[Document, Map | None], str | bytes]
RENDERINGS: Final[tuple[tuple[str, Render], ...]] = (
    ("summary.md", lambda document, found: markdown.render(sheet(document, found))),
    ("junit.xml", lambda document, _: junit.render(document)),
    ("report.html", lambda document, found: html.render(sheet(document, found))),
)


def write_document(folder: Path, document: Document, found: Map | None = None) -> None:
    """`errorpaths.json`, `summary.json`, `run.json`, then `latest`. found: the whole map of error paths.
    Raises OSError."""
    write_values(folder, document, found)
    point_latest(folder)


def write_values(folder: Path, document: Document, found: Map | None = None) -> None:
    """The same without `latest`."""
    if found is not None:
        write_atomically(folder / "errorpaths.json", orjson.dumps(found, option=orjson.OPT_INDENT_2))
    if document.get("together") is not None:
        write_atomically(
            folder / "summary.json", orjson.dumps(document["together"], option=orjson.OPT_INDENT_2)
        )
    write_atomically(folder / "run.json", to_json(document))


def render_all(folder: Path, document: Document, found: Map | None = None) -> tuple[str, ...]:
    """Every rendering of the document and the map; one line for each file that could not be written."""
    failed = []
    for name, render in RENDERINGS:
        try:
            write_atomically(folder / name, render(document, found))
        except (OSError, TemplateError) as error:
            failed.append(f"{folder / name} was not written: {error}")
    return tuple(failed)


def to_json(document: Document) -> bytes:
    """One member a line; tallies, which are for machines, without further line breaks."""
    members = []
    for name, value in document.items():
        layout = 0 if name in ("tallies", "health") else orjson.OPT_INDENT_2
        text = orjson.dumps(value, option=layout | orjson.OPT_NON_STR_KEYS)
        members.append(b"  %s: %s" % (orjson.dumps(name), text.replace(b"\n", b"\n  ")))
    return b"{\n" + b",\n".join(members) + b"\n}\n"


def read_document(folder: Path) -> Document:
    """The document that `write_document` left. Raises InvalidRun for anything else."""
    path = folder / "run.json"
    try:
        document: Any = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InvalidRun(f"{path}: cannot be read ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidRun(f"{path}: is not a run of format {FORMAT}")
    return document
