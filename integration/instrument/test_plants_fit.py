"""Planted defects follow the code: each patch applies to the tree as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from integration.plant import PLANTS
from load.target.config import ROOT


@pytest.mark.parametrize("patch", sorted(PLANTS.glob("*.patch")), ids=lambda patch: patch.stem)
def test_patch_applies(patch: Path) -> None:
    done = subprocess.run(
        ["git", "apply", "--check", str(patch)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
