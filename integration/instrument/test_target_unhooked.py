"""load/target/probing.py: which files count as imported without probes."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from load.target.instrument import NAME
from load.target.probes import Probes
from load.target.probing import Probing
from load.target.sites import Found, find

PACKAGE = "unhooked_shop"


class Shop:
    """A package of one module, and what was told of it each time its source was looked at."""

    def __init__(self, folder: Path) -> None:
        (folder / PACKAGE).mkdir()
        (folder / PACKAGE / "__init__.py").write_text("")
        (folder / PACKAGE / "till.py").write_text("def pay():\n    raise ValueError\n")
        names = [f"{PACKAGE}/__init__.py", f"{PACKAGE}/till.py"]
        self.amid: list[list[str]] = []
        self.probing = Probing(Probes(), [PACKAGE], folder, dict.fromkeys(names, "0"), self._neighbour)

    def _neighbour(self, name: str) -> ModuleType:
        if name != "sites":
            return importlib.import_module(f"load.target.{name}")
        return cast(ModuleType, SimpleNamespace(find=self._find))

    def _find(self, tree: ast.Module, source: str, name: str) -> Sequence[Found]:
        self.amid.append(self.probing.unhooked())
        return find(tree, source, name)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(builtins, NAME, None, raising=False)
    for name in (PACKAGE, f"{PACKAGE}.till"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Shop(tmp_path)


def test_what_is_being_imported_is_not_yet_without_probes(shop: Shop) -> None:
    """A save between the listing of a module and the look at its source would have named it."""
    shop.probing.start()
    importlib.import_module(f"{PACKAGE}.till")
    assert (shop.amid, shop.probing.unhooked()) == ([[], []], [])


def test_what_was_imported_before_has_no_probes(shop: Shop) -> None:
    importlib.import_module(PACKAGE)
    shop.probing.start()
    importlib.import_module(f"{PACKAGE}.till")
    assert shop.probing.unhooked() == [f"{PACKAGE}/__init__.py"]
