"""How the house is built: packages form no circle, files and functions stay short."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from benchmarks.architecture_picture import PACKAGE, arcs, imports, room, trees, upward

MOST_LINES_OF_FILE = 400
MOST_LINES_OF_FUNCTION = 60  # its docstring not counted

# Still to be mended. These lists only shrink: what is mended must be taken off.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
# who -> whom: without these there is no circle
BACKWARD = {("solution", "field_file"), ("solution", "mosaic"), ("simulate", "io")}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Rooms that import each other in a circle; none where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_packages_form_no_circle() -> None:
    graph = arcs()
    assert len(graph) > 30
    assert graph["instrument"] >= {"forward"}
    missing = {(here, there) for here, there in BACKWARD if there not in graph[here]}
    assert not missing, f"mended, take them off the list: {missing}"
    for here, there in BACKWARD:
        graph[here].discard(there)
    assert not circle(graph), " -> ".join(circle(graph))


def test_imports_stay_on_their_floor_or_run_downward() -> None:
    known = [f"{here} imports {there}" for here, there in BACKWARD]
    assert [one for one in upward(arcs()) if one not in known] == []
    assert upward({"io": {"cli", "files"}}) == ["io imports cli"]
    with pytest.raises(LookupError, match="on no floor"):
        upward({"io": {"nowhere"}})


def test_what_is_taken_for_an_import() -> None:
    source = """
import fpm_inr.io.native
from fpm_inr import transforms, __version__
if TYPE_CHECKING:
    from fpm_inr.solution import Solution
else:
    from fpm_inr.heights import check_heights
def late():
    if True:
        from fpm_inr.engines.plan import Plan
"""
    rooms = {room(name) for name in imports(ast.parse(source))}
    assert rooms == {"io", "transforms", "heights", "engines", None}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        told = function.body[0]
        assert told.end_lineno is not None
        lines -= told.end_lineno - told.lineno + 1
    return lines


def long_files() -> dict[str, int]:
    lines = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    return {name: count for name, count in lines.items() if count > MOST_LINES_OF_FILE}


def long_functions() -> dict[str, int]:
    found = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = length(node)
                if count > MOST_LINES_OF_FUNCTION:
                    found[f"{path.as_posix()}:{node.name}"] = count
    return found


@pytest.mark.parametrize(
    ("long", "known"),
    [(long_files, LONG_FILES), (long_functions, LONG_FUNCTIONS)],
    ids=["files", "functions"],
)
def test_files_and_functions_stay_short(long: object, known: set[str]) -> None:
    assert callable(long)
    found = long()
    grown = {name: count for name, count in found.items() if name not in known}
    assert not grown, f"too long: {grown}"
    assert not known - found.keys(), f"mended, take off the list: {known - found.keys()}"


def test_lines_are_counted_without_the_docstring() -> None:
    function = ast.parse('def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n    return a').body[
        0
    ]
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 4
