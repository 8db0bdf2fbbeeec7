"""The instrument's own errors and the exit code of each.

LoadError
├── UsageError          what the user asked for cannot be done (2)
├── InvalidRun          the run cannot tell: no samples, no usable data (6)
├── TargetDown          what was to be measured never became ready, or died (7)
├── LocalFault          the generator ran out of something of its own; never booked on the target (6)
└── InstrumentError     a defect of ours; never booked on the target (6)
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """One code for each cause; README.md has the same table, and a test compares them."""

    PASS = 0
    """Everything that was judged held, and at least one thing was judged."""
    BEHAVIOUR = 1
    """An outcome nobody declared, or a broken stream."""
    USAGE = 2
    """A bad option, file or combination; nothing was started."""
    OBJECTIVE = 3
    """An objective or a coverage gate was missed."""
    REGRESSED = 4
    """The comparison with the base found streaming worse."""
    INCONCLUSIVE = 5
    """Undecided, and `--undecided fail`."""
    INVALID = 6
    """The run cannot tell: no samples, a late generator, lost data."""
    TARGET_DOWN = 7
    """The target never became ready, died, or refused every connection."""
    INTERRUPTED = 130
    """Stopped by a signal; what was seen until then is written."""


class LoadError(Exception):
    """A failure with one line for the user: what, where, what to do."""

    exit_code: ExitCode = ExitCode.INVALID


class UsageError(LoadError):
    """What the user asked for cannot be done."""

    exit_code = ExitCode.USAGE


class InvalidRun(LoadError):
    """The run cannot tell."""

    exit_code = ExitCode.INVALID


class TargetDown(LoadError):
    """What was to be measured never became ready, or died."""

    exit_code = ExitCode.TARGET_DOWN


class LocalFault(LoadError):
    """The generator ran out of something of its own. Its text says of what, and what to do."""


class InstrumentError(LoadError):
    """A defect of ours: an event that the driver's contract rules out."""
