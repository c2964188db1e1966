"""The house keeps its shape: packages form no circle, functions and files stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fpm_inr

ROOT = Path(fpm_inr.__file__).parent
MODULES = {
    ".".join((ROOT.name, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
}
# a solution is stored by its own method
ONE = {"field_file": "solution"}
MOST_LINES_OF_A_FUNCTION, MOST_LINES_OF_A_FILE = 60, 400
# what is still longer: take an entry out once it is mended, add none
LONG_FUNCTIONS = {
    "calibration/calibrate.py calibrate",
    "calibration/parallax.py pupil_from_parallax",
    "calibration/solve.py fit_plane",
    "calibration/start.py find_start",
    "reconstruction.py reconstruct",
    "trust/explained.py explain",
}
LONG_FILES = {"acquisition.py", "forward.py"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Modules of the package that are imported anywhere but for types."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").startswith(ROOT.name):
            for one in child.names:
                whole = f"{child.module}.{one.name}"
                yield whole if whole in MODULES else str(child.module)
        elif isinstance(child, ast.Import):
            yield from (one.name for one in child.names if one.name.startswith(ROOT.name))
        yield from imported(child)


def package_of(module: str) -> str:
    """The package that a module lies in, or the module itself at the root."""
    name = module.split(".")[1] if "." in module else "the root"
    return ONE.get(name, name)


def test_packages_form_no_circle() -> None:
    below: dict[str, set[str]] = {}
    for path, tree in trees():
        name = ".".join((ROOT.name, *path.with_suffix("").parts)).removesuffix(".__init__")
        arrows = below.setdefault(package_of(name), set())
        arrows |= {package_of(one) for one in imported(tree)} - {package_of(name), "the root"}
    assert below["cli"] >= {"io", "files"}
    try:
        order = list(TopologicalSorter(below).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(reversed(error.args[1]))) from error
    assert order.index("errors") < order.index("files") < order.index("io") < order.index("cli")


def test_functions_and_files_are_short() -> None:
    long_functions, long_files = set(), set()
    for path, tree in trees():
        if len((ROOT / path).read_text(encoding="utf-8").splitlines()) > MOST_LINES_OF_A_FILE:
            long_files.add(path.as_posix())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long_functions.add(f"{path.as_posix()} {node.name}")
    assert long_functions <= LONG_FUNCTIONS
    assert long_files <= LONG_FILES
