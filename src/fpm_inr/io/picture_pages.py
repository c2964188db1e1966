"""One grey page [y, x] out of a picture file of any usual kind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

TIFF = (".tif", ".tiff", ".btf", ".tf8", ".stk", ".lsm")
PILLOW = (".png", ".bmp", ".jpg", ".jpeg", ".jp2", ".pgm", ".ppm", ".pnm", ".gif", ".webp")
PICTURES = TIFF + PILLOW
LOSSY = (".jpg", ".jpeg", ".webp")
LOSSY_TIFF = {"JPEG", "OJPEG", "JPEG_LOSSY", "WEBP", "JPEGXR"}
# tifffile tells of damage in its log as well as in what it raises: once is enough
logging.getLogger("tifffile").addHandler(logging.NullHandler())
# Largest picture that is read: a damaged head must not ask for all memory.
MOST_PIXELS = 400_000_000
# ... nor more than usual compression can have made of it, beyond what takes no time
SURE_PIXELS, MOST_COMPRESSION = 32_000_000, 1100
Colour = Literal["red", "green", "blue", "mean"]
COLOURS: tuple[Colour, ...] = ("red", "green", "blue")
# Samples of a pixel that differ by less than this share of the largest are one grey.
SAME_SHARE = 0.01


@dataclass(frozen=True)
class Page:
    """Where a page is: a file, and its number there."""

    path: Path
    number: int = 0


@dataclass(eq=False)
class PictureFile:
    """An opened file of pages."""

    path: Path
    tiff: Any = None
    stack: NDArray[Any] | None = None

    @property
    def page_count(self) -> int:
        """Pages that are frames."""
        if self.stack is not None:
            return len(self.stack)
        if self.tiff is None:
            return 1
        return int(_reading(self.path, lambda: len(self.tiff.pages)))

    @property
    def is_lossy(self) -> bool:
        """Whether its compression changes the numbers."""
        if self.tiff is None:
            return self.path.suffix.lower() in LOSSY
        first = _reading(self.path, lambda: next(iter(self.tiff.pages), None))
        return str(getattr(getattr(first, "compression", None), "name", "")) in LOSSY_TIFF

    def samples(self, number: int) -> NDArray[Any]:
        """A page [y, x] or [y, x, sample], as bright as it looks.

        Raises
        ------
        DataError
            It cannot be read.
        """
        if self.stack is not None:
            return np.asarray(self.stack[number])
        if self.tiff is None:
            return _reading(self.path, lambda: _pillow(self.path))
        return _reading(self.path, lambda: _tiff_page(self.tiff.pages[number]))


@contextmanager
def opened(path: Path) -> Iterator[PictureFile]:
    """Open a picture file; the content decides, not the name.

    Raises
    ------
    DataError
        It cannot be read.
    """
    if path.suffix.lower() not in PICTURES:
        raise DataError(
            "is no picture (TIFF, PNG, BMP, JPEG, PGM)", "name only pictures", source=path
        )
    if not _is_tiff(path):
        yield PictureFile(path)
        return
    import tifffile

    with _reading(path, lambda: tifffile.TiffFile(path)) as tiff:
        yield PictureFile(path, tiff, _reading(path, lambda: _hidden_stack(tiff, path)))


def _is_tiff(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise DataError(
            f"cannot be opened ({error.strerror})", "make it readable", source=path
        ) from error
    return head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _hidden_stack(tiff: Any, path: Path) -> NDArray[Any] | None:
    """Planes [plane, y, x] of an ImageJ file that has one page for all of them."""
    if not tiff.is_imagej or len(tiff.pages) != 1:
        return None
    series = tiff.series[0]
    shape = series.shape
    if len(shape) < 3 or series.axes[-2:] != "YX":
        return None
    import tifffile

    planes = int(np.prod(shape[:-2]))
    if series.size * series.dtype.itemsize > path.stat().st_size:
        raise ValueError(f"{planes} planes are told, and the file is too short for them")
    return np.asarray(tifffile.memmap(path, series=0, mode="r")).reshape(planes, *shape[-2:])


def _tiff_page(page: Any) -> NDArray[Any]:
    size = page.imagelength * page.imagewidth * page.samplesperpixel
    if page.imagedepth != 1:
        raise ValueError("its pages are volumes")
    _check_size(size, page.parent.filehandle.size)
    if page.dtype is None:
        raise ValueError("its numbers are of no known type")
    image = np.asarray(page.asarray())
    if page.axes == "SYX":
        image = np.moveaxis(image, 0, -1)
    photometric = getattr(page.photometric, "name", "")
    if photometric == "PALETTE":
        image = page.colormap.T[image]
    elif photometric == "MINISWHITE":
        if image.dtype.kind != "u":
            raise ValueError("white is 0, and its numbers are not whole")
        image = np.asarray((2**page.bitspersample - 1) - image, dtype=image.dtype)
    elif photometric == "SEPARATED":
        raise ValueError("its colours are those of a printer")
    return image


def _check_size(samples: int, file_bytes: int) -> None:
    """Refuse a picture whose head tells of more than its file can hold."""
    most = max(SURE_PIXELS, MOST_COMPRESSION * file_bytes)
    if not 0 < samples <= min(MOST_PIXELS, most):
        raise ValueError(f"{samples} samples are told, and the file has {file_bytes} bytes")


def _pillow(path: Path) -> NDArray[Any]:
    import warnings

    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        with Image.open(path) as image:
            _check_size(image.width * image.height * len(image.getbands()), path.stat().st_size)
            if image.mode == "P":
                return np.asarray(image.convert("RGB"))
            if image.mode == "PA":
                return np.asarray(image.convert("RGBA"))
            if image.mode == "1":
                return np.asarray(image.convert("L"))
            if image.mode == "CMYK":
                raise ValueError("its colours are those of a printer")
            return np.asarray(image)


def colour_of(wavelength_um: float) -> Colour:
    """The colour of a camera's pixels that see a wavelength best."""
    return "blue" if wavelength_um < 0.49 else "green" if wavelength_um < 0.585 else "red"


def grey(
    image: NDArray[Any], colour: Colour | None, path: Path, wavelength_um: float | None = None
) -> tuple[NDArray[Any], Colour | None]:
    """One channel [y, x] of a picture, and which it is: None where there is but one.

    Alpha is left out. Where the colours are the same it is one of them; else the one that is asked
    for, or the one in whose range the wavelength lies.

    Raises
    ------
    DataError
        It has no channel of real numbers, or nothing tells which is meant.
    """
    if image.dtype.kind not in "iufb" or image.ndim not in (2, 3):
        raise DataError(
            f"is no picture of real numbers (shape {image.shape}, type {image.dtype})",
            "give pictures of numbers",
            source=path,
        )
    if image.dtype.kind == "b":
        image = image.astype(np.uint8)
    if image.ndim == 2:
        return image, None
    samples = image.shape[-1]
    if samples in (1, 2):
        return image[..., 0], None
    if samples not in (3, 4):
        raise DataError(
            f"has {samples} samples a pixel", "give grey pictures or colours", source=path
        )
    rgb = image[..., :3]
    if colour == "mean":
        return rgb.mean(axis=-1, dtype=np.float32), "mean"
    if colour is None:
        low, high = rgb.min(axis=-1), rgb.max(axis=-1)
        if (high - low).max() <= SAME_SHARE * max(float(high.max()), 1e-30):
            return rgb[..., 1], None
        if wavelength_um is None:
            raise DataError(
                "has colours that differ",
                "say which: frames.channel: red, green or blue",
                source=path,
            )
        colour = colour_of(wavelength_um)
    return rgb[..., COLOURS.index(colour)], colour


def _reading(path: Path, read: Any) -> Any:
    try:
        return read()
    except DataError:
        raise
    except MemoryError as error:
        raise DataError("does not fit in memory", "give smaller files", source=path) from error
    # damaged pictures raise many kinds: struct, zlib, index, Pillow's and tifffile's own
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        mend = "restore the file"
        if "imagecodecs" in reason or "codec" in reason:
            mend = "save it with another compression (LZW, zstd, none)"
        raise DataError(f"cannot be read as a picture ({reason})", mend, source=path) from error
