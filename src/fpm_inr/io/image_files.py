"""Frames in picture files: found by name or pattern, read one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.io import picture_pages
from fpm_inr.io.picture_pages import Colour, Page, grey, opened


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Pages of picture files as one array [led, y, x] that is read when it is sliced.

    Parameters
    ----------
    files : sequence of Path
    channel : str, optional
        Colour that is taken of pictures whose colours differ. Default: by the wavelength.
    wavelength_um : float, optional
    """

    files: Sequence[Path]
    channel: Colour | None = None
    wavelength_um: float | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def pages(self) -> list[Page]:
        """Every frame's file and its page there."""
        pages = []
        for path in self.files:
            with opened(path) as file:
                pages += [Page(path, number) for number in range(file.page_count)]
                if file.is_lossy and not self.notes:
                    self.notes.append(
                        f"{path.name} and files like it are compressed with loss (JPEG): faint "
                        "light is changed; save frames without loss where you can."
                    )
        if not pages:
            raise DataError("holds no page", "restore the file", source=self.files[0])
        return pages

    @cached_property
    def shape(self) -> tuple[int, ...]:
        page = self.pages[0]
        with opened(page.path) as file:
            return (len(self.pages), *self._frame(file, page).shape)

    @cached_property
    def _first_channel(self) -> Colour | None:
        """The colour that the first frame is read as: all others are read alike."""
        page = self.pages[0]
        with opened(page.path) as file:
            image = file.samples(page.number)
        _, colour = grey(image, self.channel, page.path, self.wavelength_um)
        if colour is not None and self.channel is None:
            self.notes.append(
                f"The pictures have colours: {colour} is used, where the wavelength lies "
                "(frames.channel chooses another)."
            )
        return colour

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        leds, y, x = key
        frames: NDArray[Any] | None = None
        chosen = np.arange(len(self.pages))[leds]
        place = 0
        while place < len(chosen):
            # a file of many pages is opened once, and only one file at a time
            path = self.pages[chosen[place]].path
            with opened(path) as file:
                while place < len(chosen) and self.pages[chosen[place]].path == path:
                    image = self._frame(file, self.pages[chosen[place]])
                    if image.shape != self.shape[1:]:
                        raise DataError(
                            f"is {image.shape[0]} x {image.shape[1]} pixels (y x x), the first "
                            f"frame {self.shape[1]} x {self.shape[2]}",
                            "give frames of one size",
                            source=path,
                        )
                    part = image[y, x]
                    if frames is None:
                        frames = np.empty((len(chosen), *part.shape), dtype=part.dtype)
                    if part.dtype != frames.dtype:
                        frames = frames.astype(np.result_type(frames, part))
                    frames[place] = part
                    place += 1
        assert frames is not None
        return frames

    def _frame(self, file: picture_pages.PictureFile, page: Page) -> NDArray[Any]:
        image = file.samples(page.number)
        colour = self.channel
        if image.ndim == 3 and image.shape[-1] in (3, 4):
            colour = self._first_channel
        return grey(image, colour, page.path, self.wavelength_um)[0]
