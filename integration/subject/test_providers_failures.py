"""What the failure of a provider means, and what it advises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.providers.failures import AttemptFailed, Then, refused, reported, retry_after

UNAVAILABLE = ("provider_unavailable", Then.AGAIN)
LIMITED = ("provider_rate_limited", Then.NEXT)
AUTH = ("provider_auth", Then.NEXT)
BAD_REQUEST = ("provider_bad_request", Then.STOP)
PROTOCOL = ("provider_protocol", Then.NEXT)


def told(failure: AttemptFailed) -> tuple[str, Then]:
    return failure.code.value, failure.then


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (204, PROTOCOL),  # a success without a stream
        (206, PROTOCOL),
        (300, BAD_REQUEST),
        (302, BAD_REQUEST),
        (400, BAD_REQUEST),
        (401, AUTH),
        (402, BAD_REQUEST),
        (403, AUTH),
        (404, BAD_REQUEST),
        (407, BAD_REQUEST),
        (408, LIMITED),
        (409, LIMITED),
        (410, BAD_REQUEST),
        (429, LIMITED),
        (499, BAD_REQUEST),
        (500, UNAVAILABLE),
        (599, UNAVAILABLE),
    ],
)
def test_status(status: int, meaning: tuple[str, Then]) -> None:
    """Each status has a code and a consequence."""
    assert told(refused(status)) == meaning


@pytest.mark.parametrize("status", [408, 409, 429])
def test_a_limit_with_an_end_is_waited_for(status: int) -> None:
    """With a `Retry-After` the same candidate may be asked again, and a client learns of it."""
    failure = refused(status, 1.5)

    assert told(failure) == ("provider_rate_limited", Then.AGAIN)
    assert failure.problem().retry_after_ms == 1500


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        ({"code": 429}, LIMITED),
        ({"code": "401", "type": "server_error"}, AUTH),  # a status says more than a type
        ({"status": 400}, BAD_REQUEST),
        ({"type": "rate_limit_error", "code": None}, LIMITED),
        ({"type": "requests", "code": "rate_limit_exceeded"}, LIMITED),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, AUTH),
        ({"type": "invalid_request_error"}, BAD_REQUEST),
        ({"type": "server_error"}, UNAVAILABLE),
        ({"code": 200}, UNAVAILABLE),  # no status of an error
        ({"code": True}, UNAVAILABLE),
        ({"code": "４２９"}, UNAVAILABLE),
        ({"message": "overloaded"}, UNAVAILABLE),
        ("permission_error", AUTH),
        ("overloaded", UNAVAILABLE),
        ([1], UNAVAILABLE),
    ],
)
def test_error_event(error: object, meaning: tuple[str, Then]) -> None:
    """An error inside the stream counts as the status it names, else by its type, else as a 500."""
    assert told(reported(error)) == meaning


def test_what_the_provider_wrote_is_not_told() -> None:
    """Its message may hold a prompt or a key."""
    failure = reported({"message": "no quota for sk-secret", "type": "insufficient_quota"})

    assert failure.problem().detail == "status 429 in the stream"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0.0),
        ("2", 2.0),
        ("1.5", 1.5),
        ("-1", 0.0),
        ("inf", 86_400.0),
        ("9" * 400, 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),  # a time without a zone is taken as UTC
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds or a date; never negative, never more than a day; None for what cannot be read."""
    assert retry_after(value) == seconds


def test_retry_after_a_date_to_come() -> None:
    """A date counts from now, by our clock."""
    moment = datetime.now(UTC) + timedelta(minutes=10)

    wait_s = retry_after(format_datetime(moment, usegmt=True))

    assert wait_s == pytest.approx(
        600, abs=10
    )  # the header has whole seconds; a halt of the machine is short


@given(
    st.text()
    | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} [\d:]{1,9} ([A-Z]{3}|[+-]\d{1,6})\Z")
)
@example("1 Jan 1 00:00 +2400")
def test_retry_after_takes_any_text(value: str) -> None:
    """Whatever a provider writes there, it breaks nothing."""
    wait_s = retry_after(value)

    assert wait_s is None or 0 <= wait_s <= 86_400
