"""Whether all that the workers of a run measured has come: each report once, and from each its last.

Values in, text out; who sends and receives is `load.plugin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Member:
    """One worker. index: by which it is named; reports: how many came; lost: numbers of those that did not.
    late: it came when the users were there already. strange: it runs other code, or has other files."""

    index: int
    name: str
    reports: int = 0
    final: bool = False
    lost: list[int] = field(default_factory=list)
    late: bool = False
    strange: bool = False

    def __str__(self) -> str:
        return f"worker {self.index} ({self.name})"


class Crew:
    """The workers of one run. fingerprint: of the code and files that each must have."""

    def __init__(self, expected: int, fingerprint: str) -> None:
        self.expected = expected
        self.fingerprint = fingerprint
        self.members: dict[str, Member] = {}
        self._foreign: dict[str, int] = {}

    def join(self, name: str, *, late: bool = False) -> Member:
        """A worker has come; twice is the same."""
        return self.members.setdefault(name, Member(len(self.members), name, late=late))

    def report(self, name: str, number: int, fingerprint: str, *, final: bool) -> bool:
        """A report has come; whether it counts. Numbers begin with 0."""
        member = self.members.get(name)
        if member is None:
            self._foreign[name] = self._foreign.get(name, 0) + 1
            return False
        if number < member.reports:
            return False
        member.lost += range(member.reports, number)
        member.reports = number + 1
        member.final |= final
        member.strange |= fingerprint != self.fingerprint
        return True

    @property
    def waited_for(self) -> list[str]:
        """Names of workers that have not sent their last report."""
        return [member.name for member in self.members.values() if not member.final]

    def problems(self) -> Iterator[str]:
        """Why what came is not the whole, or not of one piece; nothing where it is."""
        if len(self.members) < self.expected:
            yield f"{self.expected} workers were expected, and {len(self.members)} came"
        if len(self.members) > self.expected > 1:
            yield f"{self.expected} workers were expected, and {len(self.members)} came: another run's?"
        for member in self.members.values():
            if member.late:
                yield f"{member} came when the run had begun; start workers first, or say --expect-workers"
            if member.strange:
                yield f"{member} has other code or files than the master; start it from the same checkout"
            if member.lost:
                yield f"{member}: {len(member.lost)} of its reports were lost"
            if not member.final:
                yield (
                    f"{member} sent no last report: it was killed or cut off;"
                    f" what its {member.reports} reports hold is kept"
                )
        for name, count in self._foreign.items():
            yield f"{count} reports of a worker that does not belong to this run ({name})"
