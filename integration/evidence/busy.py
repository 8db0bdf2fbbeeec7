"""`python -m integration.evidence.busy SEED`: keeps a processor busy for half of the time.

Two with the same seed are busy at about the same time. Times are drawn, so that no rhythm of a comparison
meets them.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Final

LONGEST_S: Final = 900.0
SHORT_S, LONG_S = 0.5, 4.0


def main(seed: str) -> None:
    draw, end = random.Random(seed), time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        until = time.monotonic() + draw.uniform(SHORT_S, LONG_S)
        while time.monotonic() < until:
            pass
        time.sleep(draw.uniform(SHORT_S, LONG_S))


if __name__ == "__main__":
    main(sys.argv[1])
