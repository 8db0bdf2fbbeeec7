"""The machine of one stream, as a table. Its cells:

a Phase           goes there
a TerminalState   ends there
STAY              nothing changes
CHECK             the end of a complete answer: DONE without a break, else BROKEN
ORDER, DUP, TEXT  notes a break of that kind and stays
X                 impossible by the driver's contract: an InstrumentError, never booked on the target
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, TypeAlias

from load.metrics.events import (
    Accepted,
    Beat,
    Cancelled,
    Closed,
    Delta,
    Errored,
    Event,
    Expired,
    Finish,
    Finished,
    Garbled,
    Refused,
    Sent,
    Stray,
)


class TerminalState(Enum):
    """How a stream ended; `Timeline.code` stands beside it."""

    DONE = "DONE"
    """Complete, in order, its text as the server says."""
    ERROR = "ERROR"
    """Ended by the server with an error; code: the problem's."""
    CANCELLED = "CANCELLED"
    """A cancel was confirmed; code: its reason."""
    CUT_OFF = "CUT_OFF"
    """The connection ended first; code: the close code, `fin`, `reset`, `end` of a response without its last
    frame, or `us` where we ended it."""
    TIMED_OUT = "TIMED_OUT"
    """One of our own limits passed; code: its clock."""
    REFUSED = "REFUSED"
    """Not accepted; code: the problem's, or `unreachable` where nothing answered."""
    BROKEN = "BROKEN"
    """Complete by the server's word, but not by ours; code: loss, duplicate, order or text."""


class Phase(Enum):
    """How far a stream has come."""

    PLANNED = auto()
    SENT = auto()
    ACCEPTED = auto()
    STREAMING = auto()
    FINISHING = auto()
    ENDED = auto()


class Rule(Enum):
    """A cell of TABLE that is no state."""

    STAY = auto()
    CHECK = auto()
    ORDER = auto()
    DUP = auto()
    TEXT = auto()
    X = auto()


Cell: TypeAlias = Phase | TerminalState | Rule

BREAKS: Final = ("loss", "duplicate", "order", "text")
"""Kinds of break; the first of them that occurred names a BROKEN stream."""

_SENT, _ACC, _TEXTS, _FIN = Phase.SENT, Phase.ACCEPTED, Phase.STREAMING, Phase.FINISHING
_ERR, _CAN, _CUT = TerminalState.ERROR, TerminalState.CANCELLED, TerminalState.CUT_OFF
_REF, _OUT = TerminalState.REFUSED, TerminalState.TIMED_OUT
__, _X, _OK, _ORD, _DUP, _TXT = Rule.STAY, Rule.X, Rule.CHECK, Rule.ORDER, Rule.DUP, Rule.TEXT

_COLUMNS: Final[tuple[type[Event], ...]] = (
    *(Sent, Accepted, Beat, Delta, Finish, Finished, Errored),
    *(Cancelled, Refused, Closed, Expired, Garbled, Stray),
)
# fmt: off
_ROWS: Final[Mapping[Phase, tuple[Cell, ...]]] = {
    #                Sent   Accept Beat Delta   Finish Fin'ed Error Cancel Refuse Close Expire Garb  Stray
    Phase.PLANNED:   (_SENT, _X,   _X,  _X,     _X,    _X,    _X,   _X,   _REF,  _REF,  _OUT,  _X,   _X),
    Phase.SENT:      (_X,    _ACC, __,  _TEXTS, _FIN,  _OK,   _ERR, _CAN, _REF,  _CUT,  _OUT,  _TXT, _ORD),
    Phase.ACCEPTED:  (_X,    _DUP, __,  _TEXTS, _FIN,  _OK,   _ERR, _CAN, _X,    _CUT,  _OUT,  _TXT, _ORD),
    Phase.STREAMING: (_X,    _DUP, __,  __,     _FIN,  _OK,   _ERR, _CAN, _X,    _CUT,  _OUT,  _TXT, _ORD),
    Phase.FINISHING: (_X,    _DUP, __,  _ORD,   _DUP,  _OK,   _ERR, _CAN, _X,    _OK,   _OUT,  _TXT, _ORD),
    Phase.ENDED:     (_X,    _ORD, __,  _ORD,   _ORD,  _DUP,  _DUP, _DUP, _X,    __,    _X,    _TXT, _ORD),
}
# fmt: on
TABLE: Final[Mapping[Phase, Mapping[type[Event], Cell]]] = {
    phase: dict(zip(_COLUMNS, cells, strict=True)) for phase, cells in _ROWS.items()
}

CLOCKS: Final[Mapping[str, tuple[Phase, ...]]] = {
    "connect": (Phase.PLANNED,),
    "accept": (Phase.SENT,),
    "first_delta": (Phase.SENT, Phase.ACCEPTED),
    "gap": (Phase.STREAMING, Phase.FINISHING),
    "total": tuple(phase for phase in Phase if phase is not Phase.ENDED),
}
"""In which phases each of our limits may expire; elsewhere it is a defect of the driver."""

BREAK_OF: Final = {Rule.ORDER: "order", Rule.DUP: "duplicate", Rule.TEXT: "text"}
