"""Identifiers: a prefix for the kind and 32 hex digits of a UUIDv7 (RFC 9562 §5.7), so they sort by time."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

__all__ = ["is_id", "new_id"]

_HEX: Final = re.compile(r"[0-9a-f]{32}")


def new_id(prefix: str) -> str:
    """A fresh id, `exe_` + 32 hex for the prefix `exe`."""
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return f"{prefix}_{value:032x}"


def is_id(text: str, prefix: str) -> bool:
    """Whether the text can be an id of that kind. What cannot is unknown: it never reaches the database."""
    head, _, digits = text.partition("_")
    return head == prefix and _HEX.fullmatch(digits) is not None
