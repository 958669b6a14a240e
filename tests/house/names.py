# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository holds and what its Python code calls things: what the maps may name."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files() -> frozenset[str]:
    """Every file of the repository, tracked or new, by its path from the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return frozenset(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())  # an archive without git
    return frozenset(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


@cache
def folders() -> frozenset[str]:
    return frozenset(parent.as_posix() for name in files() for parent in Path(name).parents)


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def python_files(*folders: str) -> list[str]:
    """Below the folders, or all."""
    return sorted(f for f in files() if f.endswith(".py") and (not folders or f.startswith(folders)))


@cache
def defined(file: str) -> frozenset[str]:
    """What a Python file defines: `name` of functions, classes and constants, `Class.name` of what a class holds."""
    found = set(_names(tree(file).body))
    for node in tree(file).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for name in _names(node.body)}
            # What `__init__` and `__post_init__` give it.
            found |= {
                f"{node.name}.{inner.attr}"
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)
            }
    return frozenset(found)


def _names(body: list[ast.stmt]) -> set[str]:
    found = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    return found


@cache
def known() -> frozenset[str]:
    """Every name that the Python code defines or uses, and every word that it holds as a text of its own."""
    found = set()
    for file in python_files():
        found.add(Path(file).stem)
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, (ast.arg, ast.keyword)):
                found.add(node.arg or "")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.alias):
                found.update(node.name.split("."))
    return frozenset(found)
