"""load/target/clocked.py: a clock that was armed, and whether it fired."""

from __future__ import annotations

import pytest

from integration.instrument.probed import Probed, ran

LIMIT_MS = 20
FIRED = "TimeoutError"
CLOCKS = {
    "fail_after": "with anyio.fail_after(LIMIT):",
    "move_on_after": "with anyio.move_on_after(LIMIT):",
    "timeout": "async with asyncio.timeout(LIMIT):",
    "timeout_at": "async with asyncio.timeout_at(asyncio.get_running_loop().time() + LIMIT):",
}


def clocked(head: str, body: str, limit: str = f"{LIMIT_MS} / 1000") -> Probed:
    return ran(f"LIMIT = {limit}\nasync def f():\n {head}\n  {body}")


def firings(module: Probed) -> int:
    return sum(n for key, n in module.counts().items() if key.startswith("timeout:fired"))


@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_that_fires(name: str) -> None:
    """Its limit and what had really passed."""
    module = clocked(CLOCKS[name], "await asyncio.sleep(9)")
    ((limit_ms, elapsed_ms),) = module.probes.firings[1]

    assert firings(module) == 1
    assert [(n, label, a[0]) for (n, label), a in module.probes.armings.items()] == [(0, "-", 1)]
    assert limit_ms == pytest.approx(LIMIT_MS, abs=1)
    # From the limit on; how much later says how busy this machine is.
    assert LIMIT_MS - 1 <= elapsed_ms < LIMIT_MS + 5000


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.sleep(0)",
        "raise TimeoutError",
        "raise KeyError",
        "raise asyncio.CancelledError",
    ],
)
def test_a_clock_that_does_not_fire(name: str, body: str) -> None:
    """Armed only, also when something else ends its block, a TimeoutError of somebody else's among it."""
    module = clocked(CLOCKS[name], body, limit="9")

    assert firings(module) == 0
    assert [arming[0] for arming in module.probes.armings.values()] == [1]


@pytest.mark.parametrize("name", ["fail_after", "move_on_after"])
def test_a_limit_of_zero_around_what_never_waits(name: str) -> None:
    """It was armed to 0 and could not fire."""
    module = clocked(CLOCKS[name], "pass", limit="0")

    assert (firings(module), module.probes.armings) == (0, {(0, "-"): [1, 0.0]})


@pytest.mark.parametrize(("name", "none"), [(name, "None") for name in ("fail_after", "timeout")])
def test_a_clock_without_a_limit(name: str, none: str) -> None:
    """Armed to nothing."""
    module = clocked(CLOCKS[name], "pass", limit=none)

    assert (firings(module), module.probes.armings) == (0, {(0, "-"): [1, None]})


def test_a_scope_that_is_cancelled_by_hand() -> None:
    """Is no clock that fired."""
    module = clocked("with anyio.move_on_after(9) as s:", "s.cancel(); await asyncio.sleep(9)")

    assert firings(module) == 0


def test_a_clock_whose_deadline_is_moved() -> None:
    """How late it is counts from the deadline as it stood, not from when the block began."""
    limit_ms, step_ms, steps = 300, 30, 20
    module = ran(
        f"async def f():\n with anyio.fail_after({limit_ms} / 1000) as clock:\n"
        f"  for _ in range({steps}):\n"
        f"   clock.deadline = anyio.current_time() + {limit_ms} / 1000\n"
        f"   await asyncio.sleep({step_ms} / 1000)\n"
        f"  clock.deadline = anyio.current_time() + {limit_ms} / 1000\n  await asyncio.sleep(9)"
    )
    ((limit, elapsed_ms),) = module.probes.firings[1]

    assert (firings(module), limit) == (1, limit_ms)
    # All before the last move would be 600 ms; no machine stands still that long.
    assert limit_ms - 1 <= elapsed_ms < limit_ms + step_ms * steps


def test_a_moved_clock_that_began_without_a_limit() -> None:
    """Fired, and nobody knows after how long."""
    module = ran(
        "async def f():\n with anyio.fail_after(None) as clock:\n"
        "  clock.deadline = anyio.current_time() + 0.01\n  await asyncio.sleep(9)"
    )

    assert (firings(module), module.probes.firings[1]) == (1, [])


WAITS = {
    "asyncio.sleep(9), 0.02": 1,
    "asyncio.sleep(9), timeout=0.02": 1,
    "asyncio.sleep(0), 9": 0,
    "asyncio.sleep(0), None": 0,
    "inner(), 9": 0,
    "asyncio.sleep(9), 0": 1,
}


@pytest.mark.parametrize(("arguments", "expected"), WAITS.items())
def test_wait_for(arguments: str, expected: int) -> None:
    """A TimeoutError from within is not its own."""
    module = ran(f"async def inner(): raise TimeoutError\nasync def f(): await asyncio.wait_for({arguments})")

    assert expected == firings(module)
    assert [arming[0] for arming in module.probes.armings.values()] == [1]


def test_a_silent_branch() -> None:
    """What is done when a `move_on_after` was over."""
    module = ran(
        "async def f():\n for body, limit in (9, 0.02), (0, 9):\n"
        "  with anyio.move_on_after(limit) as s: await asyncio.sleep(body)\n"
        "  if s.cancelled_caught:\n   pass"
    )

    assert module.counts()["timeout:fired:cancelled_caught"] == 1
