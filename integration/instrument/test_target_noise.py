"""What else went on during a block."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from load.target.noise import Look, Noise, between, canary_ns, look

NOBODY = 2**22 + 1
"""Above the largest process id that Linux gives."""


def test_shares_are_of_the_time_between_two_looks() -> None:
    """Steal is counted over all processors, so it is a share of all of them."""
    processors = os.cpu_count() or 1
    before = Look(1_000, 50, 10, {7: 100, 8: 5})
    after = Look(2_000, 300, 10 + 200 * processors, {7: 400, 9: 6})

    assert between(before, after) == Noise(psi=0.25, steal=0.2, spent_ns={7: 300})


def test_what_the_machine_does_not_tell_is_none() -> None:
    """In either look; never 0."""
    dumb, told = Look(1, None, None, {}), Look(2, 5, 5, {})

    assert between(dumb, told) == between(told, dumb) == Noise(None, None, {})


def test_a_counter_that_runs_backwards_counts_nothing() -> None:
    """As that of steal does after a machine was moved."""
    assert between(Look(1, 9, 9, {}), Look(2, 4, 4, {})) == Noise(0.0, 0.0, {})


def test_a_look_knows_the_time_that_a_process_has_spent() -> None:
    """Of another one, in all; a process that is not there is left out."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            before = look((busy.pid, NOBODY))
            while not between(before, look((busy.pid,))).spent_ns[busy.pid]:  # the test's own timeout ends it
                time.sleep(0.01)
        finally:
            busy.kill()

    assert set(before.spent_ns) == {busy.pid}


def test_the_canary_works() -> None:
    """For some time, and not for long."""
    assert 10_000 < canary_ns() < 1_000_000_000
