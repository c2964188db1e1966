"""The site: the pages of this folder, the gallery of examples/gallery and an API reference.

Built offline and strictly by `make docs`: a dead link, a failing example or a public name without a
place in the reference ends the build. With FPM_INR_GALLERY=quick examples solve in few steps: that
they run is checked; their pictures, which are worth nothing, are not kept for the next build.
"""

from __future__ import annotations

import inspect
import os
import shutil
from functools import partial, update_wrapper
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import fpm_inr
from fpm_inr.calibration import calibrate, orientation

# examples take one thread: as quick on a busy machine, and the same everywhere
os.environ.setdefault("OMP_NUM_THREADS", "1")
QUICK = os.environ.get("FPM_INR_GALLERY") == "quick"
QUICK_STEPS = 4

project = "fpm-inr"
author = copyright = "The fpm-inr developers"
version = release = fpm_inr.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]

myst_heading_anchors = 4  # links to headings, as GitHub makes them
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "py:obj"  # what stands in backticks in a docstring is linked where it can be

smartquotes = False  # options keep their two dashes

html_theme = "pydata_sphinx_theme"
html_title = f"fpm-inr {version}"
html_show_sourcelink = html_copy_source = False
html_theme_options = {
    "footer_end": [],
    "footer_start": ["copyright"],
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}

sphinx_gallery_conf = {
    "abort_on_example_error": True,
    "download_all_examples": False,
    "examples_dirs": "../examples/gallery",
    "filename_pattern": r"\.py$",  # all of them are run
    "gallery_dirs": "gallery",
    "run_stale_examples": QUICK,
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,  # times belong to benchmarks
}


def setup(app: Sphinx) -> None:
    """Check the reference when all pages have been read."""
    app.connect("env-check-consistency", check_reference)
    if QUICK:
        hasten()
        app.connect("build-finished", forget_gallery)


def hasten() -> None:
    """Let solves and calibrations of examples take few steps where they do not ask for a number."""
    solve = fpm_inr.reconstruct

    def quick(*arguments: Any, **settings: Any) -> fpm_inr.Solution:
        kind = "passes" if settings.get("engine") == "conventional" else "steps"
        return solve(*arguments, **{kind: QUICK_STEPS, **settings})

    fpm_inr.reconstruct = update_wrapper(quick, solve)
    few = partial(calibrate.calibrate, steps=QUICK_STEPS)
    calibrate.calibrate = update_wrapper(few, calibrate.calibrate)
    orientation.STEPS = QUICK_STEPS


def forget_gallery(app: Sphinx, error: Exception | None) -> None:
    """Remove what quick examples made, so that the next build runs them in full."""
    shutil.rmtree(Path(app.srcdir) / "gallery", ignore_errors=True)


def check_reference(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that the reference lacks: not named there, or without a docstring."""
    domain = env.get_domain("py")
    documented = {name for name, *_ in domain.get_objects()}
    modules = [name for name, _, kind, *_ in domain.get_objects() if kind == "module"]
    expected = {f"{fpm_inr._HOME[name]}.{name}" for name in fpm_inr._HOME}
    for module in map(import_module, modules):
        for name, member in vars(module).items():
            if name.startswith("_") or not (inspect.isfunction(member) or inspect.isclass(member)):
                continue
            is_its_own = member.__module__ == module.__name__
            if is_its_own or name in getattr(module, "__all__", ()):
                expected.add(f"{module.__name__}.{name}")
                if inspect.isclass(member):
                    expected |= {f"{module.__name__}.{name}.{one}" for one in public(member)}
    for name in sorted(expected - documented):
        logging.getLogger(__name__).warning("%s: no docstring, or not in docs/api", name)


def public(kind: type) -> list[str]:
    """Names of the public methods and properties that a class defines itself."""
    return [
        name
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property | classmethod))
    ]
