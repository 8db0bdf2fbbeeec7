"""pyproject.toml, `allow_neither`: the paths of the backend that nothing can reach."""

from __future__ import annotations

from load.scenarios.own import read_bundled_rules
from load.target.config import ROOT
from load.target.sites import scan
from load.verdict.pathgates import MOST_DECLARED


def test_every_declaration_names_a_path_that_is_there() -> None:
    """Each with a reason, and few of them."""
    files = sorted((ROOT / "backend").rglob("*.py"))
    sites = [site for file in files for site in scan(file.read_text(), file.relative_to(ROOT).as_posix())]
    paths = {site.id for site in sites if site.kind != "cancel-op" and site.sub != "armed"}
    declared = read_bundled_rules().allow_neither

    assert sorted(declared.keys() - paths) == []
    assert [name for name, reason in declared.items() if not reason.strip()] == []
    assert len(declared) <= MOST_DECLARED * len(paths)
