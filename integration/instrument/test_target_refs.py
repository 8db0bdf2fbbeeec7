"""The trees of a comparison, from real repositories."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.repositories import commit, git, repository, worktrees
from load.errors import InvalidRun, UsageError
from load.target.refs import PREFIX, SETTLED_S, Trees, resolve

HOLDER = """
import sys
from pathlib import Path
from load.target.refs import Trees, resolve
trees = Trees()
trees.base(resolve("HEAD", Path(sys.argv[1])))
print(trees.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository whose app lies in `src`."""
    return repository(
        tmp_path / "shop", {"src/app.py": "first", "notes.txt": "n", ".gitignore": "*.db\nsecret/\n"}
    )


@pytest.fixture
def trees() -> Iterator[Trees]:
    made = Trees()
    yield made
    made.remove()


def files(folder: Path) -> set[str]:
    """Names of all files and links below it."""
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()
    }


# -- a commit


def test_a_commit_is_found_by_any_name_of_it(shop: Path) -> None:
    """Also from within a folder of the repository; the name stays as it was written."""
    first = git(shop, "rev-parse", "HEAD")
    git(shop, "tag", "-a", "v1", "-m", "One")
    commit(shop, {"src/app.py": "second"})

    found = [resolve(name, shop / "src") for name in ("HEAD~1", "HEAD@{1}", "v1", first, first[:9])]

    assert {(base.sha, base.repository, base.inside, base.ahead) for base in found} == {
        (first, shop, Path("src"), 0)
    }
    assert str(found[1]) == f"HEAD@{{1}} ({first[:7]})"
    assert resolve("main", shop).inside == Path()


def test_commits_that_the_working_tree_has_not_are_counted(shop: Path) -> None:
    """They would be taken for its doing."""
    git(shop, "switch", "-q", "-c", "ahead")
    commit(shop, {"src/app.py": "second"})
    commit(shop, {"src/app.py": "third"})
    git(shop, "switch", "-q", "main")
    commit(shop, {"src/app.py": "another second"})

    assert resolve("ahead", shop).ahead == 2


@pytest.mark.parametrize("ref", ["nowhere", "--help", "HEAD:src", "HEAD@{7}", "", "a b"])
def test_an_unknown_commit_is_one_line(ref: str, shop: Path) -> None:
    """An option of git is a name like any other, and a tree is no commit."""
    with pytest.raises(UsageError) as caught:
        resolve(ref, shop / "src")

    assert str(caught.value) == f"--base {ref}: no such commit in {shop}"


def test_a_folder_without_a_repository_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("HEAD", tmp_path)

    assert str(caught.value) == f"--base HEAD: {tmp_path} lies in no git repository"


def test_a_shallow_clone_says_how_to_get_the_rest(shop: Path, tmp_path: Path) -> None:
    """As continuous integration makes them."""
    commit(shop, {"src/app.py": "second"})
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{shop}", "shallow")

    with pytest.raises(UsageError) as caught:
        resolve("HEAD~1", tmp_path / "shallow")

    assert str(caught.value) == (
        f"--base HEAD~1: no such commit in {tmp_path}/shallow;"
        " the clone is shallow: fetch the base first (git fetch --unshallow)"
    )


# -- trees


def test_base_is_exactly_the_commit(shop: Path, trees: Trees) -> None:
    """Whatever the working tree has become meanwhile; no hook of the repository runs."""
    hook = shop / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    (shop / "src" / "app.py").write_text("edited")
    (shop / "new.txt").write_text("new")

    app_dir = trees.base(resolve("HEAD", shop / "src"))

    assert app_dir == trees.folder / "base" / "src"
    assert (app_dir / "app.py").read_text() == "first"
    assert files(trees.folder / "base") == {".git", ".gitignore", "notes.txt", "src/app.py"}


def test_head_is_the_working_tree_without_ignored_files(shop: Path, trees: Trees) -> None:
    """Edited, new and linked files come along, a removed one is gone; what follows is not seen."""
    for name in ("kept.db", "secret/key", "new/file", "src/app.py"):
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / name).write_text("as it is")
    (shop / "notes.txt").unlink()
    (shop / "link").symlink_to("nowhere")
    (shop / "folder").symlink_to("src")
    (shop / "new" / "file").chmod(0o755)
    odd = os.fsdecode(b"src/odd\n \xff name")
    (shop / odd).write_text("odd")

    app_dir = trees.head(resolve("HEAD", shop / "src"))
    (shop / "src" / "app.py").write_text("later")

    head = trees.folder / "head"
    assert app_dir == head / "src"
    assert (app_dir / "app.py").read_text() == "as it is"
    assert files(head) == {".gitignore", "new/file", "link", "folder", "src/app.py", odd}
    assert [str((head / name).readlink()) for name in ("link", "folder")] == ["nowhere", "src"]
    assert os.access(head / "new" / "file", os.X_OK)


def test_a_base_without_the_folder_of_the_app_is_unusable(shop: Path, trees: Trees) -> None:
    """It came later."""
    first = git(shop, "rev-parse", "--short=7", "HEAD")
    commit(shop, {"later/app.py": "app"})

    with pytest.raises(InvalidRun) as caught:
        trees.base(resolve("HEAD~1", shop / "later"))

    assert str(caught.value) == f"base_unusable: HEAD~1 ({first}) has no folder later"


def test_nothing_of_both_trees_is_left(shop: Path, trees: Trees) -> None:
    """Neither the folders nor what git knows of them; it may be said twice."""
    base = resolve("HEAD", shop)
    trees.base(base)
    trees.head(base)
    assert worktrees(shop) == [str(shop), str(trees.folder / "base")]

    trees.remove()
    trees.remove()

    assert not trees.folder.exists()
    assert worktrees(shop) == [str(shop)]


# -- what others left


def holder(shop: Path, temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another process with trees of its own below `temporary`, and their folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(shop)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def age(folder: Path) -> None:
    """As if it had been made long ago."""
    then = folder.stat().st_mtime - 2 * SETTLED_S
    os.utime(folder, (then, then))


def test_trees_of_a_killed_process_are_removed_by_the_next(shop: Path, tmp_path: Path) -> None:
    """Those of a living one stay, and so does a folder that is so new that it may not be locked yet."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    killed, left = holder(shop, temporary)
    living, held = holder(shop, temporary)
    new = temporary / f"{PREFIX}new"
    new.mkdir()
    with killed, living:
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        age(left)
        age(held)
        last, own = holder(shop, temporary)
        with last:
            found = set(temporary.iterdir())
            known = worktrees(shop)
            last.communicate(timeout=10)
        living.communicate(timeout=10)

    assert found == {held, new, own}
    assert sorted(known[1:]) == sorted([f"{held}/base", f"{own}/base"])
