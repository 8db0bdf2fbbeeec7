"""What feedback says about an agent."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FeedbackType", "Sentiment", "sentiment"]


class FeedbackType(StrEnum):
    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"
    RATING = "rating"
    CORRECTION = "correction"
    COMMENT = "comment"


class Sentiment(StrEnum):
    POSITIVE = "POSITIVE"
    NEUTRAL = "NEUTRAL"
    NEGATIVE = "NEGATIVE"


def sentiment(feedback_type: FeedbackType, rating: int | None) -> Sentiment:
    """An explicit thumb or correction outranks a rating that stands beside it; without any, neutral."""
    if feedback_type is FeedbackType.THUMBS_UP:
        return Sentiment.POSITIVE
    if feedback_type in (FeedbackType.THUMBS_DOWN, FeedbackType.CORRECTION):
        return Sentiment.NEGATIVE
    if feedback_type is FeedbackType.COMMENT or rating is None:
        return Sentiment.NEUTRAL
    if rating >= 8:
        return Sentiment.POSITIVE
    return Sentiment.NEGATIVE if rating <= 4 else Sentiment.NEUTRAL
