"""What feedback says, as a function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.confidence import FeedbackType, Sentiment, sentiment

ratings = st.none() | st.integers(1, 10)


@pytest.mark.parametrize(
    ("rating", "expected"),
    [
        (1, Sentiment.NEGATIVE),
        (4, Sentiment.NEGATIVE),
        (5, Sentiment.NEUTRAL),
        (7, Sentiment.NEUTRAL),
        (8, Sentiment.POSITIVE),
        (10, Sentiment.POSITIVE),
        (None, Sentiment.NEUTRAL),
    ],
)
def test_sentiment_of_a_rating(rating: int | None, expected: Sentiment) -> None:
    """Eight and more are good, four and less are bad."""
    assert sentiment(FeedbackType.RATING, rating) is expected


@given(ratings)
def test_explicit_words_outrank_the_rating_beside_them(rating: int | None) -> None:
    """A thumb or a correction means what it says, with any rating or none."""
    assert sentiment(FeedbackType.THUMBS_UP, rating) is Sentiment.POSITIVE
    assert sentiment(FeedbackType.THUMBS_DOWN, rating) is Sentiment.NEGATIVE
    assert sentiment(FeedbackType.CORRECTION, rating) is Sentiment.NEGATIVE
    assert sentiment(FeedbackType.COMMENT, rating) is Sentiment.NEUTRAL
