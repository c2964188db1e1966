"""The picture of docs/architecture.md, from the imports in the code.

    python benchmarks/architecture_picture.py docs/images/architecture.png

A part that is on no floor is an error; imports that run upward are named. `tests/test_rooms.py`
allows only those that it lists.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import fpm_inr

PACKAGE = Path(fpm_inr.__file__).parent
# from the top; an import stays on its floor or runs downward
FLOORS = {
    "faces": "cli viewer trust_results mosaic_trust napari_plugin benchmark __main__",
    "many at once": "mosaic colour",
    "judging": "trust results report",
    "solving": "reconstruction solve engines settings checkpoint",
    "finding a start": "calibration first_aid published",
    "formats": "io",
    "looking": "focus metrics inspection simulate",
    "the unknowns": "solution field_file solution_set laid_over set_manifest field_header fields"
    " guard instrument forward instrument_values aperture residual edges",
    "the measurement": "microscope acquisition illumination sources lighting beams sampling reach"
    " believed camera_noise sending",
    "ground": "errors files registry device optics aberration transforms display figures heights"
    " allocator memory cie chromatic_offset",
}
WAY = (
    ("file", "io"),
    ("Acquisition", "acquisition"),
    ("ForwardModel", "forward"),
    ("Problem", "solve"),
    ("engine(field)", "engines, fields,\ninstrument"),
    ("Solution", "solution"),
    ("ImageStack", "focus, metrics,\nio, viewer"),
)


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE), ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST) -> Iterator[str]:
    """Dotted names that are imported, by functions too.

    Those below `if TYPE_CHECKING:` do not count: they name types and are never run.
    """
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"a relative import: {ast.unparse(node)}"
        yield from (f"{node.module}.{one.name}" for one in node.names)
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        children = node.orelse
    for child in children:
        yield from imports(child)


def room(dotted: str) -> str | None:
    """The package, or module beside the packages, that a name lies in; None where in neither."""
    parts = dotted.split(".")
    if parts[0] != PACKAGE.name or len(parts) == 1:
        return None
    is_there = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
    return parts[1] if is_there else None


def arcs() -> dict[str, set[str]]:
    """Which rooms each room imports from."""
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees():
        here = path.parts[0].removesuffix(".py")
        found[here] |= {
            there for name in imports(tree) if (there := room(name)) not in (None, here)
        }
    return found


def floor_of(part: str) -> int:
    """Number of its floor, counted from the top.

    Raises
    ------
    LookupError
        It is on none.
    """
    for number, parts in enumerate(FLOORS.values()):
        if part in parts.split():
            return number
    raise LookupError(f"{part} is on no floor: add it to FLOORS of {__file__}")


def upward(graph: dict[str, set[str]]) -> list[str]:
    """Imports that run upward."""
    return [
        f"{here} imports {there}"
        for here in sorted(graph.keys() - {"__init__"})
        for there in sorted(graph[here])
        if floor_of(there) < floor_of(here)
    ]


def draw(path: str) -> None:
    """Draw the way of the data, and below it the floors with what is on them."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(11, 8.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 110), ylim=(0, 82))
    axes.set_axis_off()

    def box(
        x: float, y: float, width: float, height: float, text: str, colour: str, size: float = 8.5
    ) -> None:
        style = "round,pad=0,rounding_size=0.8"
        axes.add_patch(FancyBboxPatch((x, y), width, height, style, fc=colour, ec="0.55", lw=0.8))
        axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size)

    axes.text(2, 79, "The way of the data", fontsize=12, weight="bold", va="center")
    step = 106 / len(WAY)
    for number, (value, where) in enumerate(WAY):
        x = 2 + number * step
        box(x, 70, step - 3, 5, value, "#dbe9f6")
        axes.text(x + (step - 3) / 2, 69, where, ha="center", va="top", fontsize=8, color="0.35")
        if number:
            arrow = {"arrowstyle": "->", "color": "0.3"}
            axes.annotate("", (x - 0.2, 72.5), (x - 2.8, 72.5), arrowprops=arrow)
    axes.text(2, 61, "The floors", fontsize=12, weight="bold", va="center")
    told = "imports stay on a floor or run downward; yellow: a package, white: one file"
    axes.text(20, 61, told, fontsize=9, va="center")
    there = arcs().keys() - {"__main__"}
    floors = {
        floor: shown
        for floor, parts in FLOORS.items()
        if (shown := [one for one in parts.split() if one in there])
    }
    height = 57 / len(floors)
    for number, (floor, shown) in enumerate(floors.items()):
        y = 58 - (number + 1) * height
        shade = "#f4f4f2" if number % 2 else "#fbfbfa"
        axes.axhspan(y, y + height, 2 / 110, 108 / 110, color=shade, lw=0)
        axes.text(3, y + height / 2, floor, va="center", fontsize=9.5, style="italic")
        widths = [1.6 + 1.02 * len(one) for one in shown]
        shrink = min(1.0, (87 - 0.8 * len(shown)) / sum(widths))
        x = 20.0
        for one, width in zip(shown, widths, strict=True):
            colour = "#fdeecb" if (PACKAGE / one).is_dir() else "white"
            box(x, y + 1, width * shrink, height - 2, one, colour, 8.5 * shrink)
            x += width * shrink + 0.8
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    draw(sys.argv[1])
    for one in upward(arcs()):
        print(f"still to be mended: {one}")
