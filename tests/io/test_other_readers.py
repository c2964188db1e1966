"""OME files are read alike by readers that share no code with the writers.

OME-TIFF: ome-types (metadata) and Pillow (pixels). OME-Zarr: ome-zarr-models (metadata, in
test_writers) and TensorStore (pixels).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fpm_inr.io.export import export
from tests.io.test_writers import Analytic, Z, truth


def test_ome_tiff(tmp_path: Path):
    ome_types = pytest.importorskip("ome_types", reason="needs ome-types")
    path = tmp_path / "stack.ome.tif"
    export(Analytic(), path, z_um=Z)
    pixels = ome_types.from_tiff(path).images[0].pixels
    micrometre = ome_types.model.UnitsLength.MICROMETER
    assert (pixels.physical_size_x, pixels.physical_size_x_unit) == (0.325, micrometre)
    assert (pixels.physical_size_y, pixels.physical_size_y_unit) == (0.325, micrometre)
    assert (pixels.physical_size_z, pixels.physical_size_z_unit) == (1.5, micrometre)
    assert [channel.name for channel in pixels.channels] == ["amplitude", "phase"]
    assert pixels.type is ome_types.model.PixelType.FLOAT
    with Image.open(path) as tiff:
        for number, plane in enumerate(pixels.planes):
            tiff.seek(number)  # planes are stored in the order that the metadata lists
            assert Z[plane.the_z] == plane.position_z
            part = (np.abs, np.angle)[plane.the_c]
            np.testing.assert_allclose(np.asarray(tiff), part(truth()[plane.the_z]), atol=1e-4)
        assert tiff.n_frames == len(pixels.planes) == 2 * len(Z)


def test_ome_zarr(tmp_path: Path):
    tensorstore = pytest.importorskip("tensorstore", reason="needs tensorstore")
    path = tmp_path / "stack.ome.zarr"
    export(Analytic(), path, z_um=Z)
    # what any other program finds on disk, without zarr-python
    ome = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    level = ome["multiscales"][0]["datasets"][0]["path"]
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path / level)}}
    array = tensorstore.open(spec, open=True, read=True).result()
    assert array.domain.labels == ("c", "z", "y", "x")
    assert [channel["label"] for channel in ome["omero"]["channels"]] == ["amplitude", "phase"]
    read = array.read().result()
    np.testing.assert_allclose(read[0], np.abs(truth()), rtol=1e-5)
    np.testing.assert_allclose(read[1], np.angle(truth()), atol=1e-5)
