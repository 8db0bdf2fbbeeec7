"""Problems of RFC 9457 as refusals."""

from __future__ import annotations

import pytest

from load.drivers.problem import KEPT_BYTES, code_of, refused


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code": "capacity"}', "capacity"),
        (b'{"code": 1}', None),
        (b"{}", None),
        (b"[]", None),
        (b"<p>", None),
    ],
)
def test_code(body: bytes, code: str | None) -> None:
    """Of what may be no problem at all."""
    assert code_of(body) == code


def test_a_body_is_kept_to_its_bound() -> None:
    """It may be anything."""
    assert len(refused(0, 500, b"x" * (KEPT_BYTES + 1), None).body) == KEPT_BYTES


@pytest.mark.parametrize(("value", "expected"), [(b"5", 5), (b"5.5", 5.5), (b"true", None), (b'"5"', None)])
def test_limit(value: bytes, expected: float | None) -> None:
    """A number, or nothing."""
    assert refused(0, 504, b'{"limit_ms": %s}' % value, None).limit_ms == expected


@pytest.mark.parametrize(("value", "expected"), [(b'"exe_1"', "exe_1"), (b"1", None)])
def test_run(value: bytes, expected: str | None) -> None:
    """The run that a refusal speaks of, if it names one."""
    assert refused(0, 504, b'{"execution_id": %s}' % value, None).execution_id == expected
