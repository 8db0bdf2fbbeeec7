"""The document as a reader sees it: sentences and tables of text, the same for console, Markdown and HTML.

Here numbers get their unit, their count and their accuracy; a writer only lays them out. What has no data
says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from load.report import capacity, compared, failures, paths, sides, tables
from load.report.document import Document
from load.report.figures import HEADLINE
from load.report.layout import Sheet, Table, Tile, Told, Tone
from load.report.numbers import NO_DATA, ms, percent
from load.report.together import together

MEANING: Final[Mapping[str, str]] = {
    "PASS": "everything that was judged held",
    "BEHAVIOUR": "an outcome that nobody declared, or a broken stream",
    "USAGE": "what was asked for cannot be done",
    "OBJECTIVE": "an objective or a coverage gate was missed",
    "REGRESSED": "streaming is worse than in the base",
    "INCONCLUSIVE": "undecided",
    "INVALID": "the run cannot tell",
    "TARGET_DOWN": "the target never became ready, died, or refused every connection",
    "INTERRUPTED": "stopped by a signal; what was seen until then is below",
}


def sheet(document: Document, found: paths.Map | None = None) -> Sheet:
    """The sheet of one document. found: the whole map of error paths, for the tables of single ones."""
    verdict = document["verdict"]
    all_tables = _of_comparison(document) if document.get("comparison") else _of_load(document, found)
    return Sheet(
        status=verdict["status"],
        exit_code=verdict["exit_code"],
        meaning=MEANING.get(verdict["status"], ""),
        name=document["name"],
        lines=_lines(document),
        tiles=_tiles(document),
        findings=tuple(_told(finding) for finding in document["findings"]),
        tables=tuple(table for table in all_tables if table.rows),
    )


def _of_comparison(document: Document) -> tuple[Table, ...]:
    """Figures of both arms together would be of neither."""
    return (
        tables.last_words(document),
        *compared.compared_tables(document),
        tables.endings(document),
        tables.scenarios(document),
        tables.generator(document),
        tables.settings(document),
        tables.provenance(document),
    )


def _of_load(document: Document, found: paths.Map | None) -> tuple[Table, ...]:
    return (
        tables.last_words(document),
        *([capacity.curve(document)] if document.get("capacity") else []),
        tables.endings(document),
        tables.latency(document),
        *([tables.objectives(document)] if document["objectives"] else []),
        tables.scenarios(document),
        *(tables.by_scenario(document, name) for name in HEADLINE),
        sides.split(document),
        sides.reconciliation(document),
        failures.rows(document),
        failures.deadlines(document),
        *([paths.overview(summary)] if (summary := document.get("errorpaths")) else []),
        *([together(points)] if (points := document.get("together")) else []),
        *([] if found is None else [paths.clocks(found), paths.codes(found), paths.every(found)]),
        tables.generator(document),
        tables.coverage(document),
        tables.settings(document),
        tables.provenance(document),
    )


def _lines(document: Document) -> tuple[str, ...]:
    target, profile, provenance = document["target"], document["profile"], document["provenance"]
    measured = f"host {target['host']}" if target["kind"] == "host" else f"app {target['app']}"
    # Runs of before these members were there are rendered, too.
    measured += f", {target['tls']}" if target.get("tls") else ""
    measured += f", through the proxy {target['proxy']}" if target.get("proxy") else ""
    python = f", Python {target['python']}" if target["python"] else ""
    core = document["coverage"]["core"]
    covered = f"coverage {target['coverage']} ({core})" if target["coverage"] != "off" else "no coverage"
    if target["coverage"] != "off" or document["coverage"]["overhead"] is not None:
        covered += f", {tables.overhead_of(document['coverage'])}"
    seconds = profile["steady_s"]
    steady = "no measuring window" if seconds is None else f"{seconds:.1f} s measured"
    run_time_s = profile["run_time_s"]
    length = "until stopped" if run_time_s is None else f"for {run_time_s:g} s"
    sha = "no git" if provenance["sha"] is None else f"commit {provenance['sha'][:7]}"
    sha += " and uncommitted changes" if provenance["dirty"] else ""
    where = f"{measured}{python}, {covered}"
    when = f"{sha}, {provenance['started']}"
    if document.get("comparison"):
        users = f"{profile['users']:,} users on one arm at a time, seed {profile['seed']}"
        return (*compared.compared_lines(document), where, users, when)
    # Of a search these are the most that might come.
    most = "at most " if document.get("capacity") else ""
    return (
        *capacity.capacity_line(document),
        *_baseline_line(document),
        where,
        f"{most}{profile['users']:,} users {length}, {steady}",
        f"{_arrivals(profile)}, seed {profile['seed']}",
        when,
        sides.split_line(document),
    )


def _arrivals(profile: Mapping[str, Any]) -> str:
    """How streams come to start. Runs of before `loop` was there are rendered, too."""
    loop = profile.get("loop")
    if loop == "open load":
        what = profile["rate"] or f"the arrivals of {profile['replay']}"
        return f"open load, {what}, at most {profile['max_in_flight']:,} at once"
    stages = "".join(f", {users} users for {lasts_s:g} s" for users, lasts_s in profile.get("stages", ()))
    if loop == "closed loop":
        return f"closed loop{stages}: waiting before the start cannot be seen"
    return f"{'' if loop is None else f'{loop}{stages}, '}{profile['arrivals']} arrivals"


def _baseline_line(document: Document) -> tuple[str, ...]:
    """What came of the stored run that it was held against."""
    found = document.get("baseline")
    if not found:
        return ()
    if found["differences"]:
        return (f"no baseline for this machine: {'; '.join(found['differences'])}",)
    untold = f"; too few streams for {', '.join(found['untold'])}" if found["untold"] else ""
    return (f"baseline {found['run']}: tripwire only, changes below +50 % are not judged{untold}",)


def _tone(document: Document, booked: int) -> Tone:
    """Of outcomes that nobody declared: in a search for a capacity steps are meant to fail."""
    return "bad" if booked and not document.get("capacity") else ""


def _tiles(document: Document) -> tuple[Tile, ...]:
    streams, generator = document["streams"], document["generator"]
    metrics = document["metrics"]["undisturbed"]
    declared = sum(scenario["as_expected"] for scenario in document["scenarios"].values())
    booked = sum(scenario["total"] for scenario in document["scenarios"].values())
    covered = document["coverage"].get("lines", {}).values()
    lines, executable = sum(pair[0] for pair in covered), sum(pair[1] for pair in covered)
    absent = document["coverage"]["absent"] or ""
    ended = (
        Tile(
            "complete streams", f"{streams['by_terminal']['DONE']:,}", f"of {streams['total']:,} that ended"
        ),
        Tile(
            "as declared",
            percent(declared, booked),
            f"{declared:,} of {booked:,} outcomes",
            "good" if booked and declared == booked else _tone(document, booked),
        ),
    )
    if document.get("comparison"):
        return (*compared.compared_tiles(document), *ended, _generator_tile(generator))
    return (
        *capacity.capacity_tile(document),
        *ended,
        _quantile_tile("first text, p95", metrics["ttft_ms"], "p95"),
        _quantile_tile("gap, p99", metrics["gap_ms"], "p99"),
        *_windows_tile(document["windows"]),
        Tile(
            "lines covered",
            percent(lines, executable),
            f"{lines:,} of {executable:,}" if executable else absent.split(":")[0],
        ),
        *_rows_tile(document["reconciliation"]),
        _generator_tile(generator),
    )


def _rows_tile(reconciliation: Mapping[str, Any] | None) -> tuple[Tile, ...]:
    """The sides of each run; nothing where there are no rows to read."""
    if reconciliation is None:
        return ()
    differ = sum(len(ids) for ids in reconciliation["differences"].values())
    between = (
        "clients and database" if reconciliation["provider"] is None else "clients, database and provider"
    )
    note = f"of {reconciliation['compared']:,} executions, between {between}"
    return (Tile("disagreements", f"{differ:,}", note, "bad" if differ else "good"),)


def _windows_tile(windows: Mapping[str, Any]) -> tuple[Tile, ...]:
    """Nothing where the windows do not alternate."""
    if len(windows["order"]) < 2:
        return ()
    rough, clean = windows["rough"]["ttft_ms"], windows["clean"]["ttft_ms"]
    ratio = windows["ttft_p50_ratio"]
    note = (
        f"first text p50 {ms(rough['p50'])} / {ms(clean['p50'])} ms, {rough['n']:,} / {clean['n']:,} streams"
    )
    return (Tile("rough / clean", NO_DATA if ratio is None else f"{ratio:.2f} ×", note),)


def _generator_tile(generator: Mapping[str, Any]) -> Tile:
    if not generator["reads"]:
        return Tile("generator", NO_DATA, "nothing was read")
    if generator["on_time"]:
        return Tile("generator", "on time", generator["accuracy"], "good")
    return Tile("generator", "late", f"figures are bounds; {generator['accuracy']}")


def _quantile_tile(label: str, found: Mapping[str, Any], quantile: str) -> Tile:
    value = found[quantile]
    return Tile(label, NO_DATA if value is None else f"{ms(value)} ms", f"{found['n']:,} samples")


def _told(finding: Mapping[str, Any]) -> Told:
    where = " ".join(part for part in (finding["scenario"], finding["figure"]) if part)
    facts = (("seen", finding["value"]), ("allowed", finding["limit"]), ("ids", ", ".join(finding["ids"])))
    return Told(
        kind=finding["kind"],
        sentence=f"{where}: {finding['reason']}" if where else finding["reason"],
        reproduce=finding["reproduce"],
        recordings=tuple(finding["recordings"]),
        facts=tuple((label, value) for label, value in facts if value),
    )
