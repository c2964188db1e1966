"""YAML as this program reads it: plain values, bounded, without keys that come twice.

A few hundred bytes of YAML can stand for gigabytes (aliases of aliases), or hold themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fpm_inr.errors import InputError

MOST_BYTES = 2**19  # PyYAML takes seconds for this much
MOST_VALUES = 100_000  # aliases written out
MOST_DEPTH = 50


class _RefusedError(Exception):
    """What a file says that it may not: problem, mend and key."""

    def __init__(self, problem: str, mend: str, field: str = "") -> None:
        super().__init__(problem)
        self.problem, self.mend, self.field = problem, mend, field


class _Loader(yaml.SafeLoader):
    """YAML in which a key that comes twice is a mistake: PyYAML keeps the last and is silent."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Give up early: what is nested deeply takes PyYAML long to read."""
        if self.depth > MOST_DEPTH:
            raise _RefusedError(f"is nested more than {MOST_DEPTH} deep", "write it flatter")
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                continue  # a list as a key, refused below
            line = name.start_mark.line + 1
            if name.value in lines:
                raise _RefusedError(
                    f"comes twice, in lines {lines[name.value]} and {line}", "keep one", name.value
                )
            lines[name.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, error: type[InputError]) -> Any:
    """Read the one document of a YAML file; an empty one is None.

    Parameters
    ----------
    path : Path
    error : type
        What is raised: DataError or SettingsError.

    Raises
    ------
    DataError or SettingsError
        The file cannot be read, is no YAML, has a key twice, or holds more than it may.
    """
    try:
        return _read(path)
    except OSError as problem:
        raise error(
            f"cannot be read ({problem.strerror})", "make it readable", source=path
        ) from problem
    except _RefusedError as refused:
        raise error(refused.problem, refused.mend, field=refused.field, source=path) from refused
    # PyYAML lets other errors through, such as a ValueError of the date 2020-99-99
    except (ValueError, yaml.YAMLError, RecursionError, TypeError) as problem:
        reason = " ".join(str(problem).split())[:160]
        raise error(f"is no YAML text ({reason})", "mend it there", source=path) from problem


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _RefusedError(f"is larger than {MOST_BYTES // 1024} KiB", "give a smaller file")
    loader = _Loader(content.decode("utf-8"))
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, 0)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for, its aliases written out."""
    if depth > MOST_DEPTH:
        raise _RefusedError(f"is nested more than {MOST_DEPTH} deep", "write it flatter")
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if not known[id(node)]:
            raise _RefusedError("holds itself", "write out what its alias (*) stands for")
        return known[id(node)]
    known[id(node)] = 0  # under way
    total = 1
    for child in node.value:
        for one in child if isinstance(child, tuple) else (child,):
            total += _count(one, known, depth + 1)
            if total > MOST_VALUES:
                raise _RefusedError(
                    f"stands for more than {MOST_VALUES} values", "shorten it, or use fewer aliases"
                )
    known[id(node)] = total
    return total
