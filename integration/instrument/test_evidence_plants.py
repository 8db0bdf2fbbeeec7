"""The defects that the gate has to find follow the code: each applies to the tree as it is, and compiles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from integration.plant import PLANTS, ROOT, apply

PATCHES = sorted((PLANTS / "evidence").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_defect_changes_the_backend_alone_and_compiles(patch: Path, tmp_path: Path) -> None:
    """Nothing of the instrument is touched."""
    shutil.copytree(ROOT / "backend", tmp_path / "backend", ignore=shutil.ignore_patterns("__pycache__"))

    apply(patch, tmp_path)

    changed = [line[6:] for line in patch.read_text().splitlines() if line.startswith("+++ b/")]
    assert changed
    for name in changed:
        assert name.startswith("backend/")
        assert (tmp_path / name).read_text() != (ROOT / name).read_text()
        compile((tmp_path / name).read_text(), name, "exec")
