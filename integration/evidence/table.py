"""`python -m integration.evidence.table`: docs/evidence/README.md from the lines of the code as it is."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from integration.evidence.cases import AA, NOISY, PLANTED, SERIES, Case, of_series
from integration.evidence.code import code_hash
from integration.evidence.lines import Line, of_case, read
from integration.plant import ROOT
from load.verdict.comparison import FIRST

FOLDER: Final = ROOT / "docs" / "evidence"
ROUND_S: Final = 1.0
"""A look comes at the end of the round in which it is due."""
SHOWN: Final = ("ttft", "backend_ttft", "gap", "total", "relay")
HEAD: Final = """\
# Evidence of the gate

Comparisons that were really run: `make aa` (equal trees), `make planted` (a patch of
`integration/plants/evidence/` on the head side), `make noisy` (beside two busy loops for half of the time).
Each goes on where it was stopped and leaves one line a comparison in `aa.jsonl`, `planted.jsonl`,
`noisy.jsonl`, with every round its decision rests on. Lines that other code decided do not count. This file
is written by `python -m integration.evidence.table`, and a test counts again. *Found*: the first run says
REGRESSED, before it is confirmed. Bounds are one-sided, 95 %, by Clopper and Pearson.
"""
NONE: Final = "No line yet of the code as it is."


def main() -> None:
    write(FOLDER)


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(text(folder, code_hash(ROOT)), encoding="utf-8")


def text(folder: Path, code: str) -> str:
    """The whole file."""
    lines = {series: read(folder, series, code) for series in SERIES}
    parts = [HEAD]
    for title, series, told in (
        ("Equal trees", AA, _equal),
        ("Planted", PLANTED, _planted),
        ("Beside busy loops", NOISY, _noisy),
    ):
        body = "\n".join(told(lines[series])) if lines[series] else NONE
        parts.append(f"## {title}\n\n{body}\n")
    return "\n".join(parts)


def upper(found: int, of: int) -> float:
    """What the true share stays below with 95 %: Clopper and Pearson."""
    from scipy.special import betaincinv

    return 1.0 if found >= of else float(betaincinv(found + 1, of - found, 0.95))


def share(found: int, of: int) -> str:
    """`2 of 40: 5.0 % (< 14.9 %)`."""
    if not of:
        return "no data"
    bound = 1.0 if found == of else upper(found, of)
    return f"{found} of {of}: {100 * found / of:.1f} % (< {100 * bound:.1f} %)"


def found_in(case: Case, line: Line) -> bool:
    """Whether it says what was planted."""
    if case.breaks:
        return line.broke
    if line.first.verdict != "REGRESSED":
        return False
    load_s = line.first_load_s
    return case.within_s is None or (load_s is not None and load_s <= case.within_s + ROUND_S)


def _equal(lines: Sequence[Line]) -> Iterator[str]:
    n = len(lines)
    verdicts = Counter(line.first.verdict for line in lines)
    undecided = verdicts["INCONCLUSIVE"] + verdicts["INVALID"] + verdicts[None]
    confirmed = sum(line.answer.verdict == "REGRESSED" for line in lines)
    exits = sum(line.exit_warn != 0 for line in lines)
    yield "| what | share | aim, of 100 | |"
    yield "|---|---|---|---|"
    for what, found, most in (
        ("REGRESSED before confirmation", verdicts["REGRESSED"], 1),
        ("REGRESSED, confirmed", confirmed, None),
        ("INCONCLUSIVE or INVALID", undecided, 10),
        ("exit code not 0 with `--undecided warn`", exits, 2),
    ):
        state = "" if most is None else _state(n >= 100, found <= most * max(1.0, n / 100))
        yield f"| {what} | {share(found, n)} | {'' if most is None else f'at most {most}'} | {state} |"
    yield ""
    yield _times(lines)


def _planted(lines: Sequence[Line]) -> Iterator[str]:
    yield "| planted | found | confirmed | OK | missed | load, s | aim | |"
    yield "|---|---|---|---|---|---|---|---|"
    for case in of_series(PLANTED):
        mine = of_case(lines, case.name)
        if case.least is None or not mine:
            continue
        found = sum(found_in(case, line) for line in mine)
        confirmed = "" if case.breaks else str(sum(line.answer.verdict == "REGRESSED" for line in mine))
        fine = sum(line.first.verdict == "OK" for line in mine)
        state = _state(len(mine) >= case.wanted, found * case.wanted >= case.least * len(mine))
        yield (
            f"| {case.title} | {found} of {len(mine)} | {confirmed} | {fine} |"
            f" {share(len(mine) - found, len(mine))} | {_load(mine)} |"
            f" {case.least} of {case.wanted} | {state} |"
        )
    yield ""
    yield from _defects(lines)
    yield _times(lines)


def _defects(lines: Sequence[Line]) -> Iterator[str]:
    """Those of which nothing is asked but to be told."""
    known = [(case, of_case(lines, case.name)) for case in of_series(PLANTED) if case.least is None]
    if not any(mine for _, mine in known):
        return
    yield "Defects of the kind people commit; effects in ms, the median over the runs:"
    yield ""
    yield f"| defect | {' | '.join(SHOWN)} | first run | confirmed | load, s |"
    yield f"|---{'|---' * len(SHOWN)}|---|---|---|"
    for case, mine in known:
        if not mine:
            continue
        verdicts = Counter(line.first.verdict or "none" for line in mine)
        told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
        effects = _effects_ms(mine)
        cells = " | ".join(f"{effects[name]:+.2f}" if name in effects else "" for name in SHOWN)
        confirmed = sum(line.answer.verdict == "REGRESSED" for line in mine)
        yield f"| {case.title} | {cells} | {told} | {confirmed} of {len(mine)} | {_load(mine)} |"
    yield ""


def _noisy(lines: Sequence[Line]) -> Iterator[str]:
    yield "| truth | OK | REGRESSED | INCONCLUSIVE or INVALID | wrong |"
    yield "|---|---|---|---|---|"
    for case in of_series(NOISY):
        mine = of_case(lines, case.name)
        answers = Counter(line.answer.verdict for line in mine)
        wrong = answers["REGRESSED" if case.patch is None else "OK"]
        rest = len(mine) - answers["OK"] - answers["REGRESSED"]
        told = " | ".join(map(str, (answers["OK"], answers["REGRESSED"], rest)))
        yield f"| {case.title} | {told} | {share(wrong, len(mine))} |"
    yield ""
    yield _times(lines)


def _effects_ms(lines: Sequence[Line]) -> Mapping[str, float]:
    values: dict[str, list[float]] = {}
    for line in lines:
        first = line.again.get(FIRST)
        for effect in () if first is None or first.decision is None else first.decision.effects:
            if effect.base_ms is not None:
                ms = effect.base_ms * math.expm1(effect.estimate.mean)
                values.setdefault(effect.metric, []).append(ms)
    return {name: statistics.median(found) for name, found in values.items()}


def _load(lines: Sequence[Line]) -> str:
    known = [load_s for line in lines if (load_s := line.first_load_s) is not None]
    return f"{statistics.median(known):.0f}" if known else "no data"


def _times(lines: Sequence[Line]) -> str:
    """How long whole jobs took."""
    alone = [line.job_s for line in lines if len(line.runs) < 2]
    both = [line.job_s for line in lines if len(line.runs) > 1]
    told = [
        f"{what} {statistics.median(jobs):.0f} s (at most {max(jobs):.0f} s, of {len(jobs)})"
        for what, jobs in (("without a confirmation", alone), ("with one", both))
        if jobs
    ]
    return f"Whole jobs: {', '.join(told)}."


def _state(whole: bool, holds: bool) -> str:
    return ("holds" if holds else "missed") if whole else "not all run yet"


if __name__ == "__main__":
    main()
