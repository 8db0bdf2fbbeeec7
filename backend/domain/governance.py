"""Which agent may do what: four levels of maturity against four complexities of an action.

An action is an explicit field of a request. It is never read out of a message's text, which an attacker
writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

__all__ = ["ACTIONS", "Complexity", "Decision", "Maturity", "decide", "judge"]


class Maturity(StrEnum):
    """How far an agent is trusted, lowest first."""

    STUDENT = "STUDENT"
    INTERN = "INTERN"
    SUPERVISED = "SUPERVISED"
    AUTONOMOUS = "AUTONOMOUS"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS: Final[Mapping[Maturity, int]] = {level: rank for rank, level in enumerate(Maturity, start=1)}


class Complexity(IntEnum):
    """How much harm an action can do."""

    READ = 1
    GENERATE = 2  # also: stream
    CHANGE = 3  # state
    CRITICAL = 4  # destroy, pay, run code


_NAMES: Final[Mapping[Complexity, str]] = {
    Complexity.READ: "read search list summarize explain present_chart",
    Complexity.GENERATE: "chat stream_chat analyze draft suggest plan",
    Complexity.CHANGE: "create update send_message schedule workflow_execute",
    Complexity.CRITICAL: "delete deploy payment execute_code bulk_delete",
}
ACTIONS: Final[Mapping[str, Complexity]] = {
    name: complexity for complexity, names in _NAMES.items() for name in names.split()
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with all that the refusal and the audit log tell about it."""

    action: str
    complexity: Complexity
    maturity: Maturity
    required: Maturity  # the lowest level that may do it
    allowed: bool

    @property
    def audited(self) -> bool:
        """Each refusal and each allowed critical action leaves a row in the audit log."""
        return not self.allowed or self.complexity is Complexity.CRITICAL


def decide(maturity: Maturity, complexity: Complexity) -> bool:
    """Allowed if and only if the complexity does not exceed the rank of the level."""
    return complexity <= maturity.rank


def judge(maturity: Maturity, action: str) -> Decision | None:
    """The decision on an action by its exact name; None if there is no such action."""
    complexity = ACTIONS.get(action)
    if complexity is None:
        return None
    required = next(level for level in Maturity if decide(level, complexity))
    return Decision(action, complexity, maturity, required, decide(maturity, complexity))
