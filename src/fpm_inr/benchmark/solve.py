"""One solve in a process of its own: ``python -m fpm_inr.benchmark.solve JOB.json``.

Its own process, so that its peak of memory is its own. Progress goes to standard output, one JSON
object a line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from fpm_inr.errors import FpmInrError
from fpm_inr.solve.progress import StepReport, uninterrupted

REPORT_SECONDS = 0.2
INTERRUPTED = 130


def solve(job: dict[str, Any]) -> dict[str, Any]:
    """Solve, save the field, render all slices; return what was measured."""
    import numpy as np
    import torch

    from fpm_inr.io import load
    from fpm_inr.reconstruction import reconstruct

    acquisition = load(job["acquisition"])
    said = 0.0

    def listen(report: StepReport) -> None:
        nonlocal said
        if time.perf_counter() - said > REPORT_SECONDS or report.step == report.total:
            said = time.perf_counter()
            print(json.dumps({"step": report.step, "total": report.total}), flush=True)

    low, high = job["z_range_um"]
    is_stack = job["engine"] == "conventional"
    solution = reconstruct(
        acquisition,
        z_range_um=(low, high),
        engine=job["engine"],
        recipe=job["recipe"],
        planes=job["slices"] if is_stack else None,
        device=job["device"],
        seed=job["seed"],
        listen=listen,
    )
    uninterrupted(solution)
    peak = peak_memory_bytes()
    on_gpu = solution.record["device"] != "cpu"
    field = Path(job["field"])
    solution.save(field)
    began = time.perf_counter()
    for _ in solution.slices(np.linspace(low, high, job["slices"])):
        pass
    return {
        "solve_seconds": solution.record["solve_seconds"],
        "render_seconds": time.perf_counter() - began,
        "steps": solution.record["steps"],
        "peak_memory_bytes": peak,
        "peak_gpu_bytes": int(torch.cuda.max_memory_allocated()) if on_gpu else None,
        "file_bytes": field.stat().st_size,
        "stack_bytes": 8 * job["slices"] * solution.shape_y_x[0] * solution.shape_y_x[1],
        "leds": acquisition.led_count,
        "device": solution.record["device"],
        "threads": solution.record["threads"],
    }


def peak_memory_bytes() -> int:
    """Largest resident size of this process.

    Linux hands the parent's peak down to a child's `ru_maxrss`; VmHWM is the process's own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    from fpm_inr.results import peak_memory_mb

    return round(1e6 * peak_memory_mb())


def main(job_file: str) -> int:
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    try:
        print(json.dumps({"result": solve(job)}), flush=True)
    except FpmInrError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
