"""The pictures of docs/tour.md: a folder of unknown frames, and what `fpm-inr` makes of it.

    python -m benchmarks.tour_pictures FOLDER

writes FOLDER/frames as a home-made microscope would leave them (a picture under 121 LEDs that light
row by row, forth and back; 12 bits; bright frames clipped; one LED out, a hot pixel, a dead column;
Thumbs.db) and runs the commands of the tour there.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from fpm_inr.acquisition import Optics
from fpm_inr.illumination import serpentine_steps
from fpm_inr.simulate import Camera, Rig, Specimen, preset, simulate

PITCH_MM, DISTANCE_MM, SIDE_LEDS = 4.0, 80.0, 11
FILLED_IN = {
    "wavelength_um": 0.532,
    "na": 0.1,
    "camera_pixel_um": 5.0,
    "magnification": 4,
    "pitch_mm": PITCH_MM,
    "distance_mm": DISTANCE_MM,
}


def write_frames(folder: Path) -> None:
    """Write the frames, numbered as they were taken."""
    steps = serpentine_steps(SIDE_LEDS, SIDE_LEDS)
    rig = Rig(Optics(0.532, 0.1, 1.25), steps * PITCH_MM, DISTANCE_MM)
    setup = replace(
        preset("usaf"),
        specimen=Specimen("camera", "thin", opacity=0.8, phase_rad=0.5),
        rig=rig,
        shape_y_x=(128, 128),
        camera=Camera(photons=50_000, read_noise_e=3, bits=12, dark_level=40, subtract_dark=False),
    )
    frames = simulate(setup).acquisition.frames_led_y_x
    frames = np.minimum(np.rint((frames - 40) * 1.6 + 40), 4095).astype(np.uint16)
    frames[49] = 40 + np.random.default_rng(0).integers(0, 3, frames[49].shape)
    frames[:, 20, 90] = 4095
    frames[:, :, 101] = 40
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        tifffile.imwrite(folder / f"img_{number:04d}.tif", frame)
    (folder / "Thumbs.db").write_bytes(b"")


def fill_in(path: Path, **more: object) -> None:
    """What a person writes into the description."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        key = line.strip().split(":")[0]
        filled = {**FILLED_IN, **more}
        if key in filled and not line.lstrip().startswith("#"):
            line = f"{line[: len(line) - len(line.lstrip())]}{key}: {filled[key]}"
        lines.append(line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(folder: Path, *command: str) -> None:
    """Run a command of the tour there, and show it."""
    print("$ fpm-inr", *command, flush=True)
    program = "from fpm_inr.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, *command], cwd=folder, check=True)


def main() -> None:
    """Take the tour."""
    folder = Path(sys.argv[1])
    frames = folder / "frames"
    description = frames / "acquisition.yaml"
    write_frames(frames)
    run(folder, "init", "frames")
    fill_in(description)
    run(folder, "inspect", "frames", "-o", "first.png")
    fill_in(description, dark_level=40)
    run(folder, "inspect", "frames", "-o", "second.png")
    fill_in(description, dark_level=40, order="serpentine")
    run(folder, "inspect", "frames", "-o", "third.png")
    fill_in(description, dark_level=40, order="serpentine", leave_out="[49]")
    run(folder, "inspect", "frames", "-o", "last.png")
    run(folder, "reconstruct", "frames", "-o", "result")


if __name__ == "__main__":
    main()
