"""Which mutants a seed means. The same sources and seed mean the same ones."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from integration.mutate.operators import Mutation, mutations


def drawn(folder: Path, package: str, seed: int, count: int) -> list[Mutation]:
    """So many sites of the package below `folder`, and one change at each; all, if there are fewer."""
    by_site: dict[str, list[Mutation]] = defaultdict(list)
    for file in sorted((folder / package).rglob("*.py")):
        name = str(file.relative_to(folder))
        for one in mutations(file.read_text(encoding="utf-8"), name):
            by_site[one.site.id].append(one)
    chance = random.Random(seed)
    sites = chance.sample(sorted(by_site), min(count, len(by_site)))
    return [chance.choice(by_site[site]) for site in sites]
