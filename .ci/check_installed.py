"""Try the package as it was installed from its wheel: contents, dependencies, the README's verbs.

Run by `make dist` with the Python of an environment that holds the wheel and nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions, metadata, requires, version
from importlib.resources import files
from pathlib import Path

# of the extras; none may come with the package itself
FOR_TESTS = {
    *("build", "hypothesis", "mypy", "npe2", "ome-types", "ome-zarr-models", "pytest"),
    *("ruff", "selenium", "sphinx", "tensorstore"),
}
VERBS = """
simulate --preset demo -o demo/data
inspect demo/data/acquisition.h5
reconstruct demo/data/acquisition.h5 -o demo/result --z-range -8 8
focus demo/result/field.safetensors -o demo/focus --data demo/data/acquisition.h5
evaluate demo/focus/all_in_focus.npy demo/data/truth.h5 -o demo/comparison.png
render demo/result/field.safetensors -o demo/stack.ome.tif --z -8:8:2
render demo/result/field.safetensors -o demo/stack.ome.zarr --z -8:8:2
export demo/result -o demo/field.html
"""


def run(*arguments: str, folder: Path) -> str:
    command = [Path(sys.executable).with_name("fpm-inr"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"fpm-inr {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout + done.stderr


installed = {re.sub(r"[-_.]+", "-", one.name).lower() for one in distributions()}
if extra := installed & FOR_TESTS:
    sys.exit(f"comes with the package, but is for tests: {', '.join(sorted(extra))}")
package = files("fpm_inr")
for name in (
    "py.typed",
    "napari.yaml",
    "published/usaf.yaml",
    "viewer/page/index.html",
    "viewer/page/shaders/spline.frag",
    "engines/recipes/default.yaml",
    "engines/recipes/conventional/default.yaml",
):
    if not package.joinpath(name).is_file():
        sys.exit(f"the wheel lacks {name}")
if metadata("fpm-inr")["License-Expression"] != "BSD-3-Clause" or not requires("fpm-inr"):
    sys.exit("the wheel's metadata lack licence or dependencies")

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    if version("fpm-inr") not in run("--version", folder=folder):
        sys.exit("the command and the wheel state different versions")
    for line in VERBS.strip().splitlines():
        run(*line.split(), folder=folder)
    written = sorted(path.name for path in folder.glob("demo/*"))
print(f"fpm-inr {version('fpm-inr')} from its wheel: {len(installed)} packages; made", *written)
