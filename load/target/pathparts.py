"""Reads the parts of the error-path map that processes left beside their coverage data.

Each is `<phase>.<pid>.paths.json`, rewritten every 2 s and once more at the end, so a killed process leaves
one as well. Values come out; what they mean is said by `load.verdict.errorpaths`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from load.metrics.paths import Armed, Fired, Hit, PathPart, Site
from load.target.parts import hash_of

FORMAT: Final = 1
SUFFIX: Final = ".paths.json"


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts of the same sources. left_out: those that are not, each with the reason."""

    parts: tuple[PathPart, ...]
    left_out: tuple[str, ...]


def find_path_parts(folder: Path) -> tuple[Path, ...]:
    """The parts in a run folder's `coverage/`, oldest first."""
    return tuple(
        sorted((folder / "coverage").glob(f"*{SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path))
    )


def join_path_parts(own: Sequence[Path], others: Iterable[Path] = ()) -> Joined:
    """Parts of one phase with those of another. The first of `own` says which sources are meant; what
    measured others, or cannot be read, is left out by name."""
    parts: list[PathPart] = []
    left_out: list[str] = []
    wanted: str | None = None
    for path in (*own, *others):
        try:
            part = read_path_part(path)
        except (OSError, ValueError, LookupError, TypeError) as error:
            left_out.append(f"{path.name}: cannot be read ({type(error).__name__}: {error})")
            continue
        wanted = wanted or part.source_hash
        if part.source_hash != wanted:
            left_out.append(f"{part.name}: measured other sources")
        else:
            parts.append(part)
    return Joined(tuple(parts), tuple(left_out))


def read_path_part(path: Path) -> PathPart:
    """Raises OSError, ValueError, LookupError or TypeError for what is no such part."""
    told: Mapping[str, Any] = json.loads(path.read_text())
    if told["format"] != FORMAT:
        raise ValueError(f"is of format {told['format']}, not {FORMAT}")
    sites = tuple(_site(found) for found in told["sites"])
    ids = [site.id for site in sites]
    return PathPart(
        name=path.name.removesuffix(SUFFIX),
        phase=told["phase"],
        python=told["python"],
        core=told["core"],
        source_hash=hash_of(told["sources"]),
        final=told["final"],
        probe_errors=told["probe_errors"],
        started_ns=told["started_ns"],
        stopping_ns=told["stopping_ns"],
        unhooked=tuple(told["unhooked"]),
        sites=sites,
        hits=tuple(
            Hit(
                ids[hit["site"]],
                hit["label"],
                hit["exception"],
                None if hit["code"] is None else str(hit["code"]),
                hit["count"],
                hit["first_ns"],
                hit["min_in_flight"],
                hit["after_stop"],
            )
            for hit in told["hits"]
        ),
        armed=tuple(
            Armed(ids[one["site"]], one["label"], one["count"], one["limit_ms"]) for one in told["armed"]
        ),
        fired=tuple(
            Fired(ids[one["site"]], one["limit_ms"], tuple(one["elapsed_ms"])) for one in told["fired_ms"]
        ),
    )


def _site(found: Mapping[str, Any]) -> Site:
    return Site(
        id=found["id"],
        file=found["file"],
        line=found["line"],
        kind=found["kind"],
        sub=found["sub"],
        detail=str(found["detail"] or ""),
        disposition=found["disposition"],
        rows=tuple((found["row"] or "").split()),
        armed_by=found["armed_by"],
    )
