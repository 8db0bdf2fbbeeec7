"""From what was seen to one verdict and one exit code.

All findings are kept and shown; the exit code is that of the first line of ORDER that has one. A wrong
sequence or an undeclared code is true at any speed, so BEHAVIOUR stands before INVALID; a time-out of our
own is not, so it counts only when the run is not INVALID.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from load.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that did not hold, with everything a reader needs to act on it.

    kind: the exit code it asks for. scenario, figure: None when it concerns the whole run. value, limit:
    printable, with their unit. reason: one sentence. reproduce: one command. ids: execution or correlation
    ids of the first streams concerned; the flight recorder has a file for each of them. timed_out: the
    finding rests on a time limit of our own.
    """

    kind: ExitCode
    scenario: str | None
    figure: str | None
    value: str | None
    limit: str | None
    reason: str
    reproduce: str | None = None
    ids: tuple[str, ...] = ()
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """status: the name of the exit code. reasons: one line a finding, worst first."""

    status: str
    exit_code: ExitCode
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]


ORDER = (
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.TARGET_DOWN,
    ExitCode.BEHAVIOUR,
    ExitCode.INVALID,
    ExitCode.REGRESSED,
    ExitCode.OBJECTIVE,
    ExitCode.INCONCLUSIVE,
)


def judge(findings: Iterable[Finding], undecided: str = "fail") -> Verdict:
    """The verdict on `findings`; none is a PASS. That nothing could be judged is a finding, too.

    undecided: `warn` lets INCONCLUSIVE end with the exit code of PASS; its name stays the status.
    """
    ranked = sorted(findings, key=lambda finding: ORDER.index(finding.kind))
    kinds = {finding.kind for finding in ranked if not finding.timed_out}
    if ExitCode.INVALID not in kinds:
        kinds |= {finding.kind for finding in ranked}
    code = next((kind for kind in ORDER if kind in kinds), ExitCode.PASS)
    exit_code = ExitCode.PASS if undecided == "warn" and code is ExitCode.INCONCLUSIVE else code
    return Verdict(code.name, exit_code, tuple(ranked), tuple(_line(finding) for finding in ranked))


def _line(finding: Finding) -> str:
    """`BEHAVIOUR chat_ws: 3 streams ended ERROR(internal), expected DONE`."""
    where = " ".join(part for part in (finding.scenario, finding.figure) if part)
    return (
        f"{finding.kind.name} {where}: {finding.reason}"
        if where
        else f"{finding.kind.name}: {finding.reason}"
    )
