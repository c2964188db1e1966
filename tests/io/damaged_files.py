"""Files of every kind that can be read, and ways to damage them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fpm_inr.errors import FpmInrError
from fpm_inr.io import load
from tests.io.acquisition_files import (
    WAVELENGTH_UM,
    matlab_variables,
    ptylab_variables,
    write_hdf5,
    write_matlab,
    write_native,
)
from tests.io.camera_frames import describe, true_frames
from tests.io.test_layouts import LAYOUTS, fpm_py, fpm_rs

FRAMES = np.rint(true_frames()).astype(np.uint8)


def picture(suffix: str, **how: object) -> Callable[[Path], Path]:
    """The last frame as a picture of this kind, the rest as they are; names the one to damage."""

    def write(folder: Path) -> Path:
        name = f"frame{suffix}"
        if suffix == ".tif":
            tifffile.imwrite(folder / name, FRAMES, **how)
        else:
            for number, frame in enumerate(FRAMES):
                Image.fromarray(frame).save(folder / f"{number:02d}{suffix}", **how)
            name = f"24{suffix}"
        describe(folder, file=f"*{suffix}")
        return folder / name

    return write


def single(name: str, write: Callable[[Path], object]) -> Callable[[Path], Path]:
    """One file that holds everything."""

    def one(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return one


def text(name: str, content: str, **how: object) -> Callable[[Path], Path]:
    """An array beside a text file, which is damaged."""

    def write(folder: Path) -> Path:
        np.save(folder / "a.npy", FRAMES)
        describe(folder, file="a.npy", **how)
        if content:
            (folder / name).write_text(content)
        return folder / name

    return write


def array(suffix: str) -> Callable[[Path], Path]:
    """Frames in an array file beside a description."""

    def write(folder: Path) -> Path:
        path = folder / f"a{suffix}"
        if suffix == ".npy":
            np.save(path, FRAMES)
        else:
            np.savez_compressed(path, frames=FRAMES)
        describe(folder, file=path.name)
        return path

    return write


def bundle(write: Callable[[Path], object], name: str) -> Callable[[Path], Path]:
    """A folder of another program, of which one file is damaged."""

    def one(folder: Path) -> Path:
        write(folder)
        return folder / name

    return one


STEPS = "\n".join(f"{(i % 5 - 2) * 4};{(i // 5 - 2) * 4}" for i in range(25))
KINDS: dict[str, Callable[[Path], Path]] = {
    "png": picture(".png"),
    "jpg": picture(".jpg", quality=90),
    "bmp": picture(".bmp"),
    "pgm": picture(".pgm"),
    "gif": picture(".gif"),
    "tiff": picture(".tif"),
    "tiff lzw": picture(".tif", compression="lzw"),
    "tiff zstd": picture(".tif", compression="zstd"),
    "tiff deflate": picture(".tif", compression="zlib"),
    "tiff jpeg": picture(".tif", compression="jpeg"),
    "tiff tiles": picture(".tif", tile=(16, 16)),
    "imagej": picture(".tif", imagej=True),
    "ome": picture(".tif", ome=True),
    "npy": array(".npy"),
    "npz": array(".npz"),
    "yaml": text("acquisition.yaml", ""),
    "csv": text(
        "leds.csv", STEPS, leds={"places_x_y_mm": {"file": "leds.csv", "distance_mm": 80.0}}
    ),
    "native": single("a.h5", write_native),
    "ptylab": single("a.h5", lambda path: write_hdf5(path, ptylab_variables())),
    "matlab 5": single("a.mat", lambda path: write_matlab(path, matlab_variables(), "5")),
    "matlab 7.3": single("a.mat", lambda path: write_matlab(path, matlab_variables(), "7.3")),
    "fpm-rs": bundle(fpm_rs, "dataset.json"),
    "fpm-rs configuration": bundle(fpm_rs, "configuration.json"),
    "fpm-rs measurements": bundle(fpm_rs, "measurements.json"),
    "fpm-py": bundle(fpm_py, "info.json"),
    **{f"layout {name}": single("a.mat", write) for name, write in LAYOUTS.items()},
}


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Cut, overwrite, flip, swell, repeat or empty a part of a file."""
    how = random.integers(6)
    size = max(len(content), 1)
    changed = bytearray(content)
    place = int(random.integers(size))
    if how == 0:
        return bytes(changed[:place])
    if how == 1:
        for _ in range(random.integers(1, 5)):
            # heads are where most can be damaged
            at = int(size * random.random() ** 3)
            scar = random.bytes(random.integers(1, 25))
            changed[at : at + len(scar)] = scar
    elif how == 2:
        for _ in range(random.integers(1, 9)):
            changed[int(size * random.random() ** 2)] ^= 1 << int(random.integers(8))
    elif how == 3:
        changed[place:place] = random.bytes(random.integers(1, 200))
    elif how == 4:
        length = int(random.integers(1, 64))
        changed[place : place + length] = b"\xff" * length
    else:
        del changed[place : place + int(random.integers(1, 64))]
    return bytes(changed)


def read_or_refused(folder: Path) -> str:
    """ "read", or the one sentence that refuses; anything else is raised."""
    entries = [one for one in folder.iterdir() if one.suffix in (".h5", ".mat")]
    target = entries[0] if len(entries) == 1 else folder
    try:
        read = load(target, wavelength_um=WAVELENGTH_UM if entries else None)
    except FpmInrError as error:
        sentence = str(error)
        assert str(folder) in sentence, sentence
        assert "\n" not in sentence
        assert sentence.endswith(".")
        return sentence
    assert np.isfinite(read.frames_led_y_x).all()
    assert read.led_count == read.illumination.led_count
    return "read"


def fresh(folder: Path, kind: str) -> tuple[Path, bytes]:
    """Write an intact case; the file to damage and its content."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = KINDS[kind](folder)
    return path, path.read_bytes()
