"""Every supported Python, each with a fresh environment: `nox`, or `nox -s tests-3.13 -- PATHS`.

A Python that is not on this machine is skipped.
"""

from __future__ import annotations

import nox

nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests"]
INSTALL = ("--constraint", "constraints.txt")


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the tests, on all cores."""
    session.install(*INSTALL, "--editable", ".[dev]")
    session.run(
        *("python", "-m", "pytest", "-n", "logical", "--maxprocesses", "8", *session.posargs),
        env={"OMP_NUM_THREADS": "1"},
    )


@nox.session(python=["3.11", "3.12", "3.13"])
def installed(session: nox.Session) -> None:
    """Install as a user does, without constraints, and try the verbs."""
    session.install(".")
    session.run("python", "-I", ".ci/check_installed.py")
