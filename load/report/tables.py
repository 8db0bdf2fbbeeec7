"""The tables of a report, each from its part of the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from load.report.document import Document
from load.report.figures import FIGURES, HEADLINE
from load.report.layout import Column, Row, Table, Tone
from load.report.numbers import DISTRIBUTION, FEW, NO_DATA, cells, ms, percent, with_count
from load.report.split import BESIDE

STATES: Final[Mapping[str, str]] = {
    "DONE": "complete, in order, its text as the target says",
    "ERROR": "ended by the target with an error",
    "CANCELLED": "a cancel was confirmed",
    "CUT_OFF": "the connection ended first",
    "TIMED_OUT": "a limit of the generator passed",
    "REFUSED": "not accepted",
    "BROKEN": "a chunk lost, doubled, out of order, or another text",
}


def endings(document: Document) -> Table:
    streams = document["streams"]
    total = streams["total"]
    rows = [
        Row(
            (state, STATES[state], f"{count:,}", percent(count, total)),
            "bad" if state == "BROKEN" and count else "",
        )
        for state, count in streams["by_terminal"].items()
    ]
    rows.append(Row(("all", "", f"{total:,}", percent(total, total)), "sum"))
    note = (
        f"The whole run; {streams['steady']:,} were due in the measuring window."
        f" {streams['unfinished']:,} unfinished, {streams['stalls']:,} stalls, {streams['chunks']:,} chunks."
    )
    if streams["never_sent"]:
        note += f" {streams['never_sent']:,} were due before the end and never sent, their users being busy."
    if streams["never_started"]:
        note += f" {streams['never_started']:,} arrivals found nobody free."
    columns = (
        Column("ended", number=False),
        Column("meaning", number=False, aside=True),
        Column("streams"),
        Column("share"),
    )
    return Table("How streams ended", note, columns, tuple(rows), brief=True)


def latency(document: Document) -> Table:
    metrics = document["metrics"]["undisturbed"]
    rows = tuple(
        Row((figure.name.removesuffix("_ms"), figure.meaning, *cells(metrics[figure.name])))
        for figure in (*FIGURES, *BESIDE)
        if metrics.get(figure.name) and (metrics[figure.name]["n"] or figure.name in HEADLINE)
    )
    where = _windows(document, metrics["scenarios"])
    note = f"{', '.join(metrics['scenarios'])}; {where}. {metrics['accuracy']}. {FEW}"
    columns = (Column("figure", number=False), Column("from → to", number=False, aside=True), *DISTRIBUTION)
    return Table("Latency", note, columns, rows, brief=True)


def by_scenario(document: Document, figure: str) -> Table:
    metrics = document["metrics"]
    rows = tuple(
        Row((name, *cells(found[figure]), found["accuracy"]))
        for name, found in metrics["by_scenario"].items()
        if found[figure]["n"]
    )
    meaning = next(known.meaning for known in FIGURES if known.name == figure)
    columns = (Column("scenario", number=False), *DISTRIBUTION, Column("accuracy", number=False))
    title = {"ttft_ms": "Time to the first text", "gap_ms": "Gaps", "total_ms": "Whole streams"}[figure]
    quiet = _windows(document, document["metrics"]["undisturbed"]["scenarios"])
    note = f"{figure}: {meaning}. Undisturbed scenarios: {quiet}; others: measuring window. {FEW}"
    return Table(f"{title}, by scenario", note, columns, rows)


def scenarios(document: Document) -> Table:
    rows = []
    for name, scenario in document["scenarios"].items():
        others = "; ".join(f"{kind['count']:,} × {kind['seen']}" for kind in scenario["unexpected"])
        as_declared = with_count(scenario["as_expected"], scenario["total"])
        tone: Tone = "bad" if others or not scenario["total"] else ""
        cells_ = (name, scenario["expected"], f"{scenario['total']:,}", as_declared, others or "–")
        rows.append(Row(cells_, tone, aside=scenario["of_failures"] and not tone))
    columns = (
        Column("scenario", number=False),
        Column("declared", number=False),
        Column("ended"),
        Column("as declared"),
        Column("undeclared endings", number=False),
    )
    note = "The whole run: streams and plain requests. An error is a success only where it was declared."
    lacks = {name: found["not_checkable"] for name, found in document["scenarios"].items()}
    for name in filter(lacks.get, lacks):
        note += f" Not checkable in {name}, whose wire does not tell: {', '.join(lacks[name])}."
    return Table("Scenarios", note, columns, tuple(rows), brief=True)


def objectives(document: Document) -> Table:
    rows = tuple(
        Row(
            (found["text"], found["decision"], found["shown"], f"{found['n']:,}", found["reason"] or "–"),
            "bad" if found["decision"] == "MISSED" else "",
        )
        for found in document["objectives"]
    )
    columns = (
        Column("objective", number=False),
        Column("decision", number=False),
        Column("value"),
        Column("of"),
        Column("why undecided", number=False),
    )
    note = "Undisturbed scenarios in clean windows, unless one is named. A value may have two bounds."
    return Table("Objectives", note, columns, rows)


def _windows(document: Document, quiet: Sequence[str]) -> str:
    """Which windows the figures of the undisturbed scenarios are from."""
    clean = any(f"{name}/clean" in document["tallies"] for name in quiet)
    return "clean windows" if clean and len(document["windows"]["order"]) > 1 else "measuring window"


def generator(document: Document) -> Table:
    found = document["generator"]
    cpu = NO_DATA if found["cpu_share"] is None else f"{100 * found['cpu_share']:.0f} % of one core"
    unresolved = with_count(found["unresolved"], found["chunks"])
    lines: list[tuple[str, str, str]] = [
        (
            "arrival stamps",
            found["stamp_source"] or NO_DATA,
            "who took a chunk's time: kernel, user, or both",
        ),
        ("unresolved chunks", unresolved, "shared their read with another; their gaps are known as a sum"),
        ("lateness p99", _ms_of(found["lateness_ms"], "p99"), "from a chunk's arrival to our look at it"),
        (
            "lateness allowed",
            f"{ms(found['late_budget_ms'])} ms",
            "above it, chunks of one read are bounds only",
        ),
        ("gauge p99", _ms_of(found["gauge_ms"], "p99"), "by how much a sleep of 5 ms was overslept"),
        ("start lag p99", _ms_of(found["start_lag_ms"], "p99"), "intended → sent, the user being idle"),
        ("CPU", cpu, f"{found['cpu_s']:.1f} s in {found['wall_s']:.1f} s, {found['processes']} process(es)"),
        ("CPU of the others", _others(found), "since their start; all share this machine's cores"),
        ("involuntary switches", f"{found['involuntary_switches']:,}", "the core was taken from us"),
        (
            "stamps rejected",
            f"{found['stamps_rejected']:,}",
            f"{found['reads_unstamped']:,} of {found['reads']:,} reads without a stamp",
        ),
        ("clock steps", f"{found['clock_steps']:,}", "the wall clock jumped"),
        (
            "faults of its own",
            f"{sum(found.get('faults', {}).values()):,}",
            "what it could not do; none of it is booked on the target",
        ),
        ("rows dropped", f"{found['rows_dropped']:,}", "lines missing in streams.jsonl.gz"),
    ]
    columns = (Column("generator", number=False), Column("value"), Column("meaning", number=False))
    note = f"How well the instrument kept up; its verdict outranks the target's. {found['accuracy']}."
    return Table("Generator", note, columns, tuple(Row(line) for line in lines))


def _others(found: Mapping[str, Any]) -> str:
    known = {"target": found["target_cpu_s"], "provider": found["provider_cpu_s"]}
    told = [f"{name} {cpu_s:.1f} s" for name, cpu_s in known.items() if cpu_s is not None]
    return ", ".join(told) or NO_DATA


def _ms_of(found: Mapping[str, Any], quantile: str) -> str:
    value = found[quantile]
    return NO_DATA if value is None else f"{ms(value)} ms ({found['n']:,} samples)"


def coverage(document: Document) -> Table:
    coverage = document["coverage"]
    columns = (Column("file", number=False), Column("lines"), Column("covered"), Column("share"))
    lines: Mapping[str, list[int]] = coverage.get("lines", {})
    if not lines:
        why = coverage["absent"] or "no usable coverage data"
        return Table("Coverage", why, columns, (Row((why, NO_DATA, NO_DATA, NO_DATA)),))
    rows = [
        Row((name, f"{executable:,}", f"{covered:,}", percent(covered, executable)))
        for name, (covered, executable) in sorted(lines.items())
    ]
    covered, executable = (sum(pair[at] for pair in lines.values()) for at in (0, 1))
    rows.append(Row(("all", f"{executable:,}", f"{covered:,}", percent(covered, executable)), "sum"))
    note = (
        f"Lines of the target that this run reached, tests not included. Python {coverage['python']}, core"
        f" {coverage['core']}, {coverage['mode']}; {overhead_of(coverage)}."
    )
    failed = [f"{check}: {result}" for check, result in coverage["checks"].items() if result != "ok"]
    if failed:
        note += f" Checks that failed: {'; '.join(failed)}."
    return Table("Coverage", note, columns, tuple(rows))


def overhead_of(coverage: Mapping[str, Any]) -> str:
    """What being measured cost the target, of the `coverage` of a document."""
    if coverage["overhead"] is None:
        return "overhead not measured"
    # Runs of before the interval was there are rendered, too.
    low, high = coverage.get("overhead_interval") or (coverage["overhead"], coverage["overhead"])
    return f"{coverage['overhead']:.2f} × [{low:.2f}, {high:.2f}] the CPU of a plain run"


def settings(document: Document) -> Table:
    rows = tuple(Row(pair) for pair in sorted(document["target"]["settings"].items()))
    columns = (Column("setting", number=False), Column("value", number=False))
    return Table("The target's settings", "Those that differ from its defaults.", columns, rows)


def last_words(document: Document) -> Table:
    """No rows while the target lives."""
    rows = tuple(Row((line,)) for line in document["target"]["last_words"])
    columns = (Column("line", number=False),)
    return Table("Last words of the target", "The end of its log.", columns, rows)


def provenance(document: Document) -> Table:
    found, profile = document["provenance"], document["profile"]
    mix = ", ".join(f"{name} {weight}" for name, weight in profile["mix"].items())
    lines = (
        ("command", found["command"]),
        (
            "commit",
            f"{found['sha']}{' and uncommitted changes' if found['dirty'] else ''}"
            if found["sha"]
            else "no git",
        ),
        ("from, to", f"{found['started']} – {found['ended']}"),
        (
            "machine",
            f"{found['platform']}, kernel {found['kernel']}, {found['cpus']} CPUs, Python {found['python']}",
        ),
        ("profile", f"mix {mix}; failures {profile['failures']}; think time {profile['think_s']:g} s (mean)"),
        ("prompts", f"{profile['prompts']}, {profile['conversations']:,} conversations"),
        ("job", found["job"] or "–"),
    )
    columns = (Column("this run", number=False), Column("", number=False))
    return Table("Where it comes from", "", columns, tuple(Row(line) for line in lines))
