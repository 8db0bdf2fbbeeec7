"""What cannot be asked of the proxy."""

from __future__ import annotations


class Refused(Exception):
    """A plan, fault or address that makes no sense; the message says why."""
