"""Frames of a movie: panels under a caption with the height, the phase colours and a scale bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fpm_inr.display import Contrast, height_texts, length_text, phase_rgb, scale_bar_um
from fpm_inr.io.rendering import Channel, Rendering, halve, shown_contrasts

LARGEST_PANEL_PX = 1920  # players give up on much wider frames
SMALLEST_PANEL_PX = 480  # the caption needs this much
CAPTION_PX = 44
MARGIN_PX = 12
LEGEND_PX = 64


@dataclass(frozen=True)
class Layout:
    """Sizes in a frame: planes are halved or repeated to fit, then set into cells side by side."""

    shape_y_x: tuple[int, int]
    panels: int

    @property
    def halvings(self) -> int:
        return max(0, ceil(log2(max(self.shape_y_x) / LARGEST_PANEL_PX)))

    @property
    def repeat(self) -> int:
        return max(1, round(SMALLEST_PANEL_PX / max(self.shape_y_x)))

    @property
    def panel_y_x(self) -> tuple[int, int]:
        y, x = (max(1, n >> self.halvings) * self.repeat for n in self.shape_y_x)
        return y, x

    @property
    def cell_px(self) -> int:
        return max(self.panel_y_x[1], SMALLEST_PANEL_PX)

    @property
    def frame_y_x(self) -> tuple[int, int]:
        """Even, as H.264 wants."""
        y, x = CAPTION_PX + self.panel_y_x[0], self.panels * self.cell_px
        return y + y % 2, x + x % 2

    def px(self, length_um: float, pixel_um: float) -> int:
        """Length on the frame."""
        return round(length_um / pixel_um * self.repeat / (1 << self.halvings))


def layout_of(rendering: Rendering) -> Layout:
    """Sizes of the frames of a rendering: one panel a channel."""
    return Layout(rendering.shape_y_x, len(rendering.channels))


def draw_frames(rendering: Rendering) -> Iterator[NDArray[np.uint8]]:
    """Give one frame [y, x, rgb] a height: grey amplitude, cyclic colours for phase."""
    layout = layout_of(rendering)
    contrasts = shown_contrasts(rendering)
    background = _background(rendering, layout)
    for text, plane in zip(height_texts(rendering.z_um), rendering.planes(), strict=True):
        frame = background.copy()
        ImageDraw.Draw(frame).text(
            (MARGIN_PX, CAPTION_PX / 2), f"z = {text} µm", "white", _font(18), anchor="lm"
        )
        for _ in range(layout.halvings):
            plane = halve(plane)
        for number, (channel, contrast) in enumerate(
            zip(rendering.channels, contrasts, strict=True)
        ):
            panel = Image.fromarray(_colours(channel, channel.of(plane), contrast, layout))
            frame.paste(panel, (_left(layout, number), CAPTION_PX))
        yield np.asarray(frame)


def _colours(
    channel: Channel, image: NDArray[Any], contrast: Contrast | None, layout: Layout
) -> NDArray[np.uint8]:
    if channel.kind == "phase":
        rgb = phase_rgb(image)
    elif contrast is None:
        rgb = np.moveaxis(image, 0, -1)
    else:
        rgb = np.repeat((contrast.grey(image) * 255).round().astype(np.uint8)[..., None], 3, -1)
    return rgb.repeat(layout.repeat, axis=0).repeat(layout.repeat, axis=1)


def _left(layout: Layout, number: int) -> int:
    return number * layout.cell_px + (layout.cell_px - layout.panel_y_x[1]) // 2


def _background(rendering: Rendering, layout: Layout) -> Image.Image:
    """What all frames share: the scale bar over the first panel, the phase colours over phase."""
    frame = Image.new("RGB", layout.frame_y_x[::-1])
    draw = ImageDraw.Draw(frame)
    length_um = scale_bar_um(rendering.pixel_um * rendering.shape_y_x[1])
    length_px = layout.px(length_um, rendering.pixel_um)
    right = layout.cell_px - MARGIN_PX
    draw.rectangle((right - length_px, CAPTION_PX - 12, right - 1, CAPTION_PX - 8), "white")
    draw.text((right, 4), length_text(length_um), "white", _font(16), anchor="ra")
    for number, channel in enumerate(rendering.channels):
        if channel.kind == "phase":
            strip = phase_rgb(np.linspace(-np.pi, np.pi, LEGEND_PX, endpoint=False)[None])
            left = int((number + (0.6 if number == 0 else 0.25)) * layout.cell_px) - LEGEND_PX // 2
            frame.paste(Image.fromarray(strip.repeat(12, axis=0)), (left, CAPTION_PX // 2 - 6))
            draw.text((left - 6, CAPTION_PX / 2), "phase -π", "white", _font(16), anchor="rm")
            draw.text((left + LEGEND_PX + 6, CAPTION_PX / 2), "π", "white", _font(16), anchor="lm")
    return frame


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib.font_manager import findfont  # its own DejaVu Sans has µ and π everywhere

    return ImageFont.truetype(findfont("DejaVu Sans"), size)
