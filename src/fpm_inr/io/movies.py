"""MP4 and GIF movies through focus."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpm_inr.display import phase_table
from fpm_inr.errors import OutputError
from fpm_inr.files.replacing import replacing
from fpm_inr.io.rendering import Rendering

SECONDS = 8  # of a whole sweep, as far as 4 to 25 frames a second allow
H264 = (
    *("-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"),
    *("-color_primaries", "bt709", "-color_trc", "bt709"),
    *("-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
)


def write_mp4(path: Path, rendering: Rendering) -> None:
    """Write an H.264 movie, one frame a height, with one contrast for all."""
    from fpm_inr.io.frames import draw_frames

    _encode(path, rendering, (f.tobytes() for f in draw_frames(rendering)), "rgb24", H264)


def write_gif(path: Path, rendering: Rendering) -> None:
    """Write a looping GIF: 128 greys and 128 phase colours, the same for all frames."""
    from fpm_inr.io.frames import draw_frames

    palette, index_of = _gif_palette()
    bgra = np.insert(palette[:, ::-1], 3, 255, axis=1).tobytes()

    def indexed(frame: NDArray[np.uint8]) -> bytes:
        return index_of[_packed(frame)].tobytes() + bgra  # the layout of FFmpeg's pal8

    frames = (indexed(frame) for frame in draw_frames(rendering))
    _encode(path, rendering, frames, "pal8", ("-c:v", "gif", "-loop", "0"))


def _gif_palette() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colours [256, rgb], and the index of every colour that a frame can hold, [packed rgb]."""
    levels = np.arange(256, dtype=np.uint8)
    greys, phases = np.repeat(levels[:, None], 3, axis=1), phase_table()
    index_of = np.zeros(2**24, np.uint8)
    index_of[_packed(phases)] = 128 + levels // 2
    index_of[_packed(greys)] = (levels / 255 * 127).round()
    shown = np.linspace(0, 255, 128).round().astype(np.intp)
    return np.concatenate([greys[shown], phases[::2]]), index_of


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    red, green, blue = np.moveaxis(rgb.astype(np.uint32), -1, 0)
    packed: NDArray[np.uint32] = red << 16 | green << 8 | blue
    return packed


def _encode(
    path: Path,
    rendering: Rendering,
    frames: Iterable[bytes],
    pixels: str,
    options: tuple[str, ...],
) -> None:
    """Pipe raw frames to FFmpeg (called directly so that its exit status is seen)."""
    from imageio_ffmpeg import get_ffmpeg_exe

    from fpm_inr.io.frames import layout_of

    height, width = layout_of(rendering).frame_y_x
    rate = min(25, max(4, round(len(rendering.z_um) / SECONDS)))
    source = ("-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", str(rate))
    with replacing(path) as beside, tempfile.TemporaryFile() as log:
        command = (get_ffmpeg_exe(), "-v", "error", "-y", *source, "-i", "-", *options, str(beside))
        # A session of its own: Ctrl-C is for this program, which then ends the encoder.
        encoder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=log, start_new_session=True
        )
        assert encoder.stdin is not None
        try:
            for frame in frames:
                encoder.stdin.write(frame)
            encoder.stdin.close()
            encoder.wait()
        except BrokenPipeError:  # the encoder gave up; its exit status says so below
            with suppress(BrokenPipeError):
                encoder.stdin.close()
            encoder.wait()
        except BaseException:
            encoder.kill()
            encoder.wait()
            raise
        if encoder.returncode:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise OutputError(
                f"the movie encoder stopped ({said[-1]})",
                "choose a place that has room, or another format",
                source=path,
            )
