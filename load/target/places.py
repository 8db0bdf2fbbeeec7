"""What a configuration leaves open until a target is started: `{scratch}`, `{port}`, `{upstream}`, …"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from load.errors import UsageError

PLACES: Final = ("scratch", "port", "upstream", "users", "closed")
"""A folder of this launch alone, a free port, the scripted provider's URL, how many accounts are needed, the
URL of a port where nobody listens."""
_PLACE: Final = re.compile(r"\{([a-z]+)\}")


def check_places(text: str, where: str) -> None:
    """Raises UsageError for a place that nobody fills."""
    for name in _PLACE.findall(text):
        if name not in PLACES:
            raise UsageError(f"{where}: {{{name}}} is unknown; there are {', '.join(PLACES)}")


def filled(text: str, places: Mapping[str, str]) -> str:
    """The text with every known place filled; braces that name none stay as they are."""
    return _PLACE.sub(lambda found: places.get(found[1], found[0]), text)
