"""Pictures of any usual kind, names of any usual form, LED lists of any dialect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fpm_inr.acquisition import Acquisition
from fpm_inr.cli import main
from fpm_inr.errors import DataError
from fpm_inr.io import load
from fpm_inr.io.led_lists import read_led_list
from tests.io.camera_frames import GRID, LEDS, OPTICS, ROWS, describe, true_frames

FRAMES = np.rint(true_frames()).astype(np.uint8)
DEEP = np.rint(true_frames() * 20).astype(np.uint16)


def by_pillow(suffix: str, mode: str = "L", **how: object) -> Callable[[Path, np.ndarray], None]:
    def write(folder: Path, frames: np.ndarray) -> None:
        for number, frame in enumerate(frames):
            Image.fromarray(frame).convert(mode).save(folder / f"{number:03d}{suffix}", **how)

    return write


def by_tifffile(shape: str = "grey", **how: object) -> Callable[[Path, np.ndarray], None]:
    def write(folder: Path, frames: np.ndarray) -> None:
        for number, frame in enumerate(frames):
            if shape == "planar":
                frame = np.stack([frame] * 3)
            elif shape != "grey":
                frame = np.stack([frame] * int(shape), axis=-1)
            tifffile.imwrite(folder / f"{number:03d}.tif", frame, **how)

    return write


def inverted(folder: Path, frames: np.ndarray) -> None:
    by_tifffile(photometric="miniswhite")(folder, 255 - frames)


def imagej(folder: Path, frames: np.ndarray) -> None:
    tifffile.imwrite(folder / "stack.tif", frames, imagej=True)
    with tifffile.TiffFile(folder / "stack.tif") as file:
        assert file.is_imagej


def imagej_of_one_page(folder: Path, frames: np.ndarray) -> None:
    """As Fiji writes stacks above 4 GB: one page that stands for all planes."""
    about = f"ImageJ=1.11a\nimages={LEDS}\nslices={LEDS}\n"
    tifffile.imwrite(folder / "stack.tif", frames[0], description=about, metadata=None)
    with tifffile.TiffFile(folder / "stack.tif") as file:
        offset = file.pages[0].dataoffsets[0]
    content = (folder / "stack.tif").read_bytes()[:offset] + frames.tobytes()
    (folder / "stack.tif").write_bytes(content)


def ome(folder: Path, frames: np.ndarray) -> None:
    stack = frames.reshape(ROWS, ROWS, *frames.shape[1:])
    tifffile.imwrite(folder / "a.ome.tif", stack, ome=True, metadata={"axes": "TZYX"})


EXACT = {
    "png": by_pillow(".png"),
    "rgb png": by_pillow(".png", "RGB"),
    "rgba png": by_pillow(".png", "RGBA"),
    "grey with alpha": by_pillow(".png", "LA"),
    "palette": by_pillow(".png", "P"),
    "bmp": by_pillow(".bmp"),
    "rgb bmp": by_pillow(".bmp", "RGB"),
    "pgm": by_pillow(".pgm"),
    "ppm": by_pillow(".ppm", "RGB"),
    "gif": by_pillow(".gif"),
    "upper case": by_pillow(".PNG"),
    "tiff": by_tifffile(),
    "big tiff": by_tifffile(bigtiff=True),
    "rgb tiff": by_tifffile("3", photometric="rgb"),
    "rgba tiff": by_tifffile("4", photometric="rgb", extrasamples=["unassalpha"]),
    "planar rgb": by_tifffile("planar", photometric="rgb", planarconfig="separate"),
    "lzw": by_tifffile(compression="lzw", predictor=True),
    "deflate": by_tifffile(compression="zlib"),
    "zstd": by_tifffile(compression="zstd"),
    "lzma": by_tifffile(compression="lzma"),
    "packbits": by_tifffile(compression="packbits"),
    "tiles": by_tifffile(tile=(16, 16)),
    "min is white": inverted,
    "imagej": imagej,
    "imagej of one page": imagej_of_one_page,
    "ome": ome,
}


def read(folder: Path, pattern: str = "*.*i*", **how: object) -> Acquisition:
    return load(describe(folder, file=pattern, **how))


@pytest.mark.parametrize("kind", EXACT)
def test_grey_values_come_through_exactly(tmp_path: Path, kind: str) -> None:
    EXACT[kind](tmp_path, FRAMES)
    pattern = sorted(tmp_path.iterdir())[0].suffix.lower()
    acquisition = read(tmp_path, f"*{pattern}")
    assert np.array_equal(acquisition.frames_led_y_x, FRAMES)
    assert acquisition.notes == ()


@pytest.mark.parametrize("kind", ["jpg", "tiff"])
def test_loss_is_said(tmp_path: Path, kind: str) -> None:
    write = by_pillow(".jpg", quality=95) if kind == "jpg" else by_tifffile(compression="jpeg")
    write(tmp_path, FRAMES)
    acquisition = read(tmp_path, "*.jpg" if kind == "jpg" else "*.tif")
    assert np.abs(acquisition.frames_led_y_x - FRAMES).mean() < 4
    assert any("compressed with loss" in note for note in acquisition.notes)


def test_twelve_bits_packed_and_left_aligned(tmp_path: Path) -> None:
    frames = np.minimum(DEEP, 4094)
    for name, write in (
        ("packed", by_tifffile(bitspersample=12)),
        ("left", lambda folder, some: by_tifffile()(folder, some * np.uint16(16))),
    ):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, frames)
        read_frames = read(folder, "*.tif").frames_led_y_x
        assert np.array_equal(read_frames, frames * (16.0 if name == "left" else 1.0))


@pytest.mark.parametrize(("channel", "place"), [("red", 0), ("green", 1), ("blue", 2), (None, 1)])
def test_colours_that_differ(tmp_path: Path, channel: str | None, place: int) -> None:
    colours = np.stack([FRAMES // 4, FRAMES, FRAMES // 2], axis=-1)
    for number, frame in enumerate(colours):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    acquisition = read(tmp_path, "*.png", **({} if channel is None else {"channel": channel}))
    assert np.array_equal(acquisition.frames_led_y_x, colours[..., place])
    # 0.53 um is green, and a choice is said
    assert any("green is used" in note for note in acquisition.notes) == (channel is None)


def name_of(led: int) -> str:
    return f"led_y{led // ROWS - 2}_x{led % ROWS - 2}.png"


@pytest.mark.parametrize(
    "pattern", ["*.png", "led_y{row}_x{column}.png", "LED_y{row}_*x{column}.PNG"]
)
def test_signs_in_names_count(tmp_path: Path, pattern: str) -> None:
    for led, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / name_of(led))
    assert np.array_equal(read(tmp_path, pattern).frames_led_y_x, FRAMES)


def test_a_dash_is_no_sign_where_all_names_have_it(tmp_path: Path) -> None:
    for led, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"scan-{led}.png")
    assert np.array_equal(read(tmp_path, "*.png").frames_led_y_x, FRAMES)


@pytest.mark.parametrize("pattern", ["*.png", "led_{index}.png"])
def test_missing_frames_are_named_and_left_out(tmp_path: Path, pattern: str) -> None:
    for led, frame in enumerate(FRAMES):
        if led != 7:
            Image.fromarray(frame).save(tmp_path / f"led_{led}.png")
    acquisition = read(tmp_path, pattern)
    assert np.array_equal(acquisition.frames_led_y_x, np.delete(FRAMES, 7, axis=0))
    whole = load(describe(tmp_path, file="led_{index}.png"))
    assert np.array_equal(acquisition.illumination.na_led_xy, whole.illumination.na_led_xy)
    assert any("1 of 25 LEDs (7, counted from 0)" in note for note in acquisition.notes)


def test_an_origin_is_asked_for_where_names_do_not_tell(tmp_path: Path) -> None:
    for led, frame in enumerate(FRAMES):
        if led not in (0, LEDS - 1):
            Image.fromarray(frame).save(tmp_path / f"led_{led + 100}.png")
    with pytest.raises(DataError, match="origin"):
        read(tmp_path, "led_{index}.png")
    acquisition = read(tmp_path, "led_{index}.png", origin={"index": 100})
    assert np.array_equal(acquisition.frames_led_y_x, FRAMES[1:-1])


def test_names_may_hold_places_and_exposures(tmp_path: Path) -> None:
    for led, frame in enumerate(FRAMES):
        x, y = (led % ROWS - 2) * 4.0, (led // ROWS - 2) * 4.0
        Image.fromarray(frame).save(tmp_path / f"t{1 + led % 2}_x{x}_y{y}mm.png")
    acquisition = read(
        tmp_path,
        "t{exposure}_x{x_mm}_y{y_mm}mm.png",
        leds={"places_x_y_mm": {"distance_mm": 80.0}},
    )
    geometry = acquisition.illumination.geometry
    assert geometry is not None
    steps = np.rint(geometry.position_led_xyz_mm[:, :2] / 4.0).astype(int) + 2
    led = steps[:, 1] * ROWS + steps[:, 0]
    times = np.where(led % 2, 1.0, 0.5)[:, None, None]
    np.testing.assert_allclose(acquisition.frames_led_y_x, FRAMES[led] / times)


@pytest.mark.parametrize("pattern", ["led*/img.png", "**/img.png", r"led*\img.png", "**/IMG.PNG"])
def test_a_folder_for_each_led_and_litter_beside(tmp_path: Path, pattern: str) -> None:
    for led, frame in enumerate(FRAMES):
        folder = tmp_path / f"led{led}"
        folder.mkdir()
        Image.fromarray(frame).save(folder / "img.png")
        (folder / "._img.png").write_bytes(b"litter")
        (folder / "Thumbs.db").write_bytes(b"litter")
    assert np.array_equal(read(tmp_path, pattern).frames_led_y_x, FRAMES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (name_of, 'file: "led_y{row}_x{column}.png"'),
        (lambda led: f"led{led}/img.png", 'file: "led*/img.png"'),
        (lambda led: f"{led:03d}.png", 'file: "*.png"'),
        (lambda led: f"led_{led // ROWS}_{led % ROWS}.PNG", 'file: "led_{row}_{column}.PNG"'),
    ],
)
def test_init_proposes_what_it_sees(
    tmp_path: Path, name: Callable[[int], str], expected: str
) -> None:
    for led, frame in enumerate(FRAMES):
        path = tmp_path / name(led)
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(frame).save(path)
    with pytest.raises(SystemExit) as ended:
        main(["init", str(tmp_path)])
    assert ended.value.code == 0
    text = (tmp_path / "acquisition.yaml").read_text()
    assert expected in text
    assert "rows: 5\n" in text
    for key, value in {**OPTICS, "pitch_mm": 4.0, "distance_mm": 80.0}.items():
        lines = [line for line in text.splitlines() if line.lstrip("# ").startswith(f"{key}:")]
        text = text.replace(lines[0], f"{lines[0].split(key)[0].replace('#', ' ')}{key}: {value}")
    for key in ("camera_pixel_um", "magnification"):
        text = "\n".join(line for line in text.splitlines() if key not in line)
    (tmp_path / "acquisition.yaml").write_text(text.replace("    pixel_um", "  pixel_um"))
    assert np.array_equal(load(tmp_path).frames_led_y_x, FRAMES)


def test_skipped_frames_and_missing_leds_bind_the_rest_again(tmp_path: Path) -> None:
    """A trigger that fired twice at frame 3, and left the last LED without a frame."""
    seen = np.where(np.arange(LEDS) < 3, np.arange(LEDS), np.arange(LEDS) - 1)
    np.save(tmp_path / "a.npy", FRAMES[seen])
    leds = {"grid": GRID, "missing": [LEDS - 1]}
    acquisition = load(describe(tmp_path, file="a.npy", skip=[3], leds=leds))
    assert np.array_equal(acquisition.frames_led_y_x, FRAMES[:-1])


PAIRS = np.array([[-0.11, 0.05], [0.0, 0.0], [0.125, -0.2]])
DIALECTS = {
    "comma": "\n".join(f"{x},{y}" for x, y in PAIRS),
    "semicolon": "\n".join(f"{x};{y}" for x, y in PAIRS),
    "tab": "\n".join(f"{x}\t{y}" for x, y in PAIRS),
    "blanks": "\n".join(f"  {x}   {y}" for x, y in PAIRS),
    "decimal comma": "\n".join(f"{x};{y}".replace(".", ",") for x, y in PAIRS),
    "decimal comma, blanks": "\n".join(f"{x} {y}".replace(".", ",") for x, y in PAIRS),
    "index": "i,x,y\n" + "\n".join(f"{i},{x},{y}" for i, (x, y) in enumerate(PAIRS)),
    "index from 1": "\n".join(f"{i + 1};{x};{y}" for i, (x, y) in enumerate(PAIRS)),
    "index turned": "led,x,y\n" + "\n".join(f"{i},{PAIRS[i][0]},{PAIRS[i][1]}" for i in (2, 0, 1)),
    "header": "NA x;NA y\n" + "\n".join(f"{x};{y}" for x, y in PAIRS),
    "columns turned": "y,x\n" + "\n".join(f"{y},{x}" for x, y in PAIRS),
    "trailing": "\n".join(f"{x},{y}," for x, y in PAIRS),
    "more columns": "led,x,y,power\n"
    + "\n".join(f"{i},{x},{y},9" for i, (x, y) in enumerate(PAIRS)),
    "comments": "# made by hand\n" + "\n".join(f"{x},{y}" for x, y in PAIRS),
    "brackets": "\n".join(f"[{x}, {y}]" for x, y in PAIRS),
    "dos": "\r\n".join(f"{x},{y}" for x, y in PAIRS),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_led_lists_of_any_dialect(tmp_path: Path, dialect: str, encoding: str) -> None:
    (tmp_path / "leds.csv").write_bytes(DIALECTS[dialect].encode(encoding))
    np.testing.assert_allclose(read_led_list(tmp_path / "leds.csv").pairs_x_y, PAIRS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3,4\n5,6,7,8\n", "4 columns"),
        ("x,y\n", "holds no numbers"),
        ("1;2\n3\n", "line 2"),
        ("0.1;0.2\n0.3,0.4;x\n", "line 2"),
        ("a,0.1\n0.1,0.2\n", "line 1"),
        ("i,x,y\n0,1,2\n0,3,4\n", "alike"),
    ],
)
def test_a_list_that_does_not_tell_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "leds.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_led_list(tmp_path / "leds.csv")


def test_places_in_millimetres_are_not_taken_for_directions(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FRAMES)
    places = [f"{(i % ROWS - 2) * 4.0};{(i // ROWS - 2) * 4.0}" for i in range(LEDS)]
    (tmp_path / "leds.csv").write_text("x (mm);y (mm)\n" + "\n".join(places))
    with pytest.raises(DataError, match="places_x_y_mm"):
        load(describe(tmp_path, file="a.npy", leds={"na_x_y": {"file": "leds.csv"}}))
    leds = {"places_x_y_mm": {"file": "leds.csv", "distance_mm": 80.0}}
    listed = load(describe(tmp_path, file="a.npy", leds=leds))
    grid = load(describe(tmp_path, file="a.npy"))
    np.testing.assert_allclose(listed.illumination.na_led_xy, grid.illumination.na_led_xy)
