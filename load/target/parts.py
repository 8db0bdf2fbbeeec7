"""Checks coverage parts, joins those of the same sources, and writes `coverage.json`.

A part is what one process left (see `inside.py`). Parts are passed by name: nothing here searches for
files. Names are relative to the target's folder, so parts of another checkout of the same sources join.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
from coverage.exceptions import CoverageException, NoSource, NotPython
from coverage.parser import PythonParser

from load.errors import InvalidRun
from load.target.launch import facts_of, last_save_of

OK = "ok"
CHECKS = ("H1", "H2", "H3", "H4", "H5")


@dataclass(frozen=True, slots=True)
class CoverageSummary:
    """The union of the joined parts."""

    files: Mapping[str, float]
    """Percent of lines by file; 100.0 only when nothing is missing. Empty when a check failed."""
    lines: Mapping[str, tuple[int, int]]
    """(covered, executable) by file."""
    sources: tuple[str, ...]
    """Every Python file of the measured packages, also such as no part has data of."""
    core: str
    python: str
    mode: str
    phases: tuple[str, ...]
    source_hash: str
    checks: Mapping[str, str]
    """`ok` or what is wrong, by check H1 to H5."""
    left_out: tuple[str, ...]
    """Parts that were not joined, each with the reason."""

    @property
    def usable(self) -> bool:
        return all(result == OK for result in self.checks.values())

    @property
    def total_percent(self) -> float | None:
        """None when there is no executable line."""
        covered = sum(pair[0] for pair in self.lines.values())
        executable = sum(pair[1] for pair in self.lines.values())
        return 100.0 * covered / executable if executable else None


@dataclass(frozen=True, slots=True)
class Part:
    """One process's data with what it says about itself."""

    path: Path
    facts: Mapping[str, Any]
    data: coverage.CoverageData | None
    """None when nothing of it could be read."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def source_hash(self) -> str:
        return hash_of(self.facts["sources"])

    def lines(self, name: str) -> set[int]:
        return set(self.data.lines(name) or ()) if self.data is not None else set()


def hash_of(sources: Mapping[str, str]) -> str:
    """Of all files of a target, given each one's own; parts of equal hash measured the same sources."""
    listing = "\n".join(f"{name} {digest}" for name, digest in sorted(sources.items()))
    return "sha256:" + hashlib.sha256(listing.encode()).hexdigest()


def find_parts(folder: Path) -> tuple[Path, ...]:
    """The parts that processes left in a run folder's `coverage/`, oldest first."""
    notes = sorted(
        (path for path in (folder / "coverage").glob("*.json") if not path.name.endswith(".paths.json")),
        key=lambda path: path.stat().st_mtime_ns,
    )
    return tuple(path.with_suffix("") for path in notes if json.loads(path.read_text())["mode"] != "off")


def write_coverage_json(parts: Sequence[Path], out: Path) -> CoverageSummary:
    """Joins `parts` and writes coverage.py's JSON report (format 3, with contexts) to `out`.

    The first part decides which sources are meant: parts of others are left out by name. When a check
    failed, nothing is written and `files` is empty: unusable data is not zero. Raises `InvalidRun` when
    there is no part at all.
    """
    if not parts:
        raise InvalidRun("there is no coverage data; was the target started with --coverage off?")
    loaded = [load_part(path) for path in parts]
    first = loaded[0]
    reasons = [reason_to_leave_out(part, first) for part in loaded]
    joined = [part for part, reason in zip(loaded, reasons, strict=True) if reason is None]
    left_out = tuple(f"{p.name}: {r}" for p, r in zip(loaded, reasons, strict=True) if r is not None)
    if not joined:
        raise InvalidRun(f"no coverage data was kept: {'; '.join(left_out)}")
    checks = checked(joined)
    report: dict[str, Any] = {"files": {}}
    if all(result == OK for result in checks.values()):
        report = joined_report(joined)
        write_json(out, report)
    summaries = {name: entry["summary"] for name, entry in report["files"].items()}
    return CoverageSummary(
        files={name: float(summary["percent_covered"]) for name, summary in summaries.items()},
        lines={name: (s["covered_lines"], s["num_statements"]) for name, s in summaries.items()},
        sources=tuple(sorted(first.facts["sources"])),
        core=" + ".join(sorted({part.facts["core"] for part in joined})),
        python=" + ".join(sorted({part.facts["python"] for part in joined})),
        mode=first.facts["mode"],
        phases=tuple(sorted({part.facts["phase"] for part in joined})),
        source_hash=first.source_hash,
        checks=checks,
        left_out=left_out,
    )


def load_part(path: Path) -> Part:
    """Raises `InvalidRun` when the process left no word at all."""
    try:
        facts = json.loads(facts_of(path).read_text())
    except (OSError, ValueError) as error:
        raise InvalidRun(f"there is no coverage data {path}: {error}") from error
    data = coverage.CoverageData(str(path if facts["final"] else last_save_of(path)))
    try:
        data.read()
    except CoverageException:
        data.close(force=True)
        return Part(path, facts, None)
    return Part(path, facts, data)


def export(path: Path, data_file: Path) -> None:
    """A part as a plain coverage data file, absolute names and no canary, for another tool to combine."""
    part = load_part(path)
    if part.data is None:
        return
    folder = Path(part.facts["app_dir"])
    names = {str(folder / name): name for name in part.data.measured_files() - {part.facts["canary"]}}
    data = coverage.CoverageData(str(data_file))
    data.set_context(part.facts["phase"])
    if part.data.has_arcs():
        data.add_arcs({full: part.data.arcs(name) or () for full, name in names.items()})
    else:
        data.add_lines({full: part.data.lines(name) or () for full, name in names.items()})
    data.touch_files(names)
    data.write()


def reason_to_leave_out(part: Part, first: Part) -> str | None:
    """None when the part belongs to the union."""
    if part.source_hash != first.source_hash:
        return "measured other sources"
    if part.facts["mode"] != first.facts["mode"]:
        return f"measured {part.facts['mode']}, not {first.facts['mode']}"
    if not part.facts["final"] and not last_save_of(part.path).exists():
        return "was killed before its first save"
    return None


def checked(parts: Sequence[Part]) -> dict[str, str]:
    """What is wrong with these parts, by check; the first fault of each is told."""
    found = dict.fromkeys(CHECKS, OK)
    parsers: dict[str, Lines | None] = {}
    for part in parts:
        for check, fault in faults(part, parsers):
            if found[check] == OK:
                found[check] = f"{part.name}: {fault}"
    return found


def faults(part: Part, parsers: dict[str, Lines | None]) -> list[tuple[str, str]]:
    facts = part.facts
    if part.data is None or not part.data.measured_files():
        return [("H1", "no data was kept")]
    found = []
    contexts = part.data.measured_contexts()
    if contexts != {facts["phase"]}:
        found.append(("H1", f"holds the contexts {sorted(contexts)}, not {facts['phase']}"))
    folder = Path(facts["app_dir"])
    changed = sorted(
        {*facts["changed"], *(n for n, h in facts["sources"].items() if digest(folder / n) != h)}
    )
    if changed:
        found.append(("H2", f"{', '.join(changed)} changed while it was measured"))
    own_python = facts["python"].split(".")[:2] == platform.python_version().split(".")[:2]
    for name in sorted(part.data.measured_files()):
        if name in changed or not own_python:
            # Another version counts the lines of a statement in another way: its phantoms cannot be told.
            continue
        if name not in parsers:
            parsers[name] = Lines.of(folder / name)
        known = parsers[name]
        recorded = part.lines(name)
        phantoms = sorted(recorded - {0}) if known is None else known.phantoms(recorded)
        if phantoms:
            found.append(("H3", f"{name} has lines recorded that are no statement: {phantoms[:5]}"))
        if name == facts["canary"] and known is not None and (lost := known.lost(recorded)):
            found.append(("H4", f"the canary's lines {lost} ran and were not recorded"))
    if facts["replaced"]:
        found.append(("H4", "another tracer (a debugger?) took over while it was measured"))
    if facts["canary"] not in part.data.measured_files():
        found.append(("H4", "the canary was not recorded"))
    # The probe of the start-up is the first request of all; a killed target may not have noted it.
    if facts["asked"] and facts["final"] and facts["requests"] and not facts["selfcheck"]:
        found.append(("H5", "the labelled request of the start-up was not seen"))
    elif facts["selfcheck"] and facts.get("counted") is False:
        found.append(("H5", "the canary's failure was not counted under the label of the start-up"))
    return found


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the statements of a file are, by coverage's own parser."""

    parser: PythonParser

    @classmethod
    def of(cls, path: Path) -> Lines | None:
        """None when there is no such file, or it is not Python."""
        try:
            parser = PythonParser(filename=str(path))
            parser.parse_source()
        except (NoSource, NotPython):
            return None
        return cls(parser)

    def phantoms(self, recorded: set[int]) -> list[int]:
        """Recorded lines that neither begin nor continue a statement; 0 stands for an empty module."""
        known = self.parser.statements | self.parser.raw_docstrings
        begun = {line for line in recorded if self.parser.first_line(line) not in known}
        return sorted(begun - {0} if not self.parser.statements else begun)

    def lost(self, recorded: set[int]) -> list[int]:
        """Statements that are not among the recorded lines."""
        return sorted(self.parser.statements - self.parser.first_lines(recorded))


def joined_report(parts: Sequence[Part]) -> dict[str, Any]:
    """coverage.py's own JSON report over the union; file names relative to the target's folder."""
    folder = Path(parts[0].facts["app_dir"])
    union = coverage.Coverage(data_file=None, config_file=False)
    exclude_as_configured(union, folder)
    for part in parts:
        if part.data is not None:
            union.get_data().update(part.data, map_path=lambda name: str(folder / name))
    canary = str(folder / parts[0].facts["canary"])
    report_file = parts[0].path.with_name(f"report.{os.getpid()}.tmp")
    try:
        union.json_report(outfile=str(report_file), show_contexts=True, omit=[canary])
        report: dict[str, Any] = json.loads(report_file.read_text())
    except CoverageException as error:
        raise InvalidRun(f"the coverage data cannot be reported: {error}") from error
    finally:
        union.get_data().close(force=True)  # an in-memory database stays open otherwise
        with suppress(FileNotFoundError):
            report_file.unlink()
    # The reporter's names are relative to the working directory of this process, which says nothing.
    here = Path.cwd()
    named = {str(here / name): entry for name, entry in report["files"].items()}
    report["files"] = {relative(name, folder): named[name] for name in sorted(named)}
    return report


def exclude_as_configured(union: coverage.Coverage, folder: Path) -> None:
    """The target's own exclusions: its `pytest --cov` must show the same figures."""
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return
    report = settings.get("tool", {}).get("coverage", {}).get("report", {})
    for option in ("exclude_lines", "exclude_also"):
        if option in report:
            union.set_option(f"report:{option}", report[option])


def relative(name: str, folder: Path) -> str:
    path = Path(name)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else name


def digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def write_json(out: Path, document: object) -> None:
    temporary = out.with_name(out.name + ".tmp")
    with temporary.open("w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(out)
