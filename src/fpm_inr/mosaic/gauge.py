"""What no tile can know of itself, settled by what tiles agree on where they overlap.

A tile's field is its own up to a factor exp(a + i (p + r . x + b x^2)) at every height: how bright
it is against its neighbours (a), the phase's zero (p), where LED directions err together a slope of
the phase (r), and a bend (b). The bend is that which LEDs at a finite distance make
(`fpm_inr.mosaic.plan.bend_of`), known and in the field from the solve's beginning; solves that
begin without find a share of it. Its heights may be offset by a constant. Differences of neighbours
are measured on their overlaps, weighted by how well these agree, and spread over all tiles by least
squares. What no overlap can tell is pinned here, once: over all tiles the mean logarithm of the
amplitude, the mean phase, slope and height are 0, and slopes and bends are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.sparse.linalg import lsqr

from fpm_inr.field_file import read_solution
from fpm_inr.mosaic.manifest import GaugePart
from fpm_inr.mosaic.overlap import Agreement, compare, height_offset
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.tiles import Tile
from fpm_inr.mosaic.worker import Record, field_path

FloatArray = NDArray[np.float64]

# Heights at which gauges are measured, at most; between them they are interpolated.
MOST_HEIGHTS = 25
# How much slopes and bends are drawn to 0, against an overlap's weight: of tiles that began with
# the bend of their LEDs' light, and of others, which have found some of it. Simulated smears and
# slow phase decided (benchmarks/mosaic.py).
UNLIKELY, UNLIKELY_OF_OTHERS = 10.0, 1.0
LEAST_COHERENCE = 0.3  # of an overlap that says anything


@dataclass(frozen=True, eq=False)
class Gauge:
    """Factor and height of every tile, to be taken out of it.

    Parameters
    ----------
    z_um : array [z]
    log_amplitude, piston_rad : array [tile, z]
        The phase at the tile's centre.
    ramp_y_x_rad_per_px : array [tile, z, 2]
        Slope of the phase, per pixel of the frames.
    bend_rad_per_px2 : array [tile, z]
        Of the phase about the tile's centre: times the squared distance.
    height_um : array [tile]
        To be added to a height to find it in the tile.
    """

    z_um: FloatArray
    log_amplitude: FloatArray
    piston_rad: FloatArray
    ramp_y_x_rad_per_px: FloatArray
    bend_rad_per_px2: FloatArray
    height_um: FloatArray

    def part(self) -> GaugePart:
        """As the manifest holds it."""
        return GaugePart(
            z_um=self.z_um.tolist(),
            log_amplitude=self.log_amplitude.tolist(),
            piston_rad=self.piston_rad.tolist(),
            ramp_y_rad_per_px=self.ramp_y_x_rad_per_px[..., 0].tolist(),
            ramp_x_rad_per_px=self.ramp_y_x_rad_per_px[..., 1].tolist(),
            bend_rad_per_px2=self.bend_rad_per_px2.tolist(),
            height_um=self.height_um.tolist(),
        )

    @classmethod
    def of(cls, part: GaugePart) -> Gauge:
        """From what the manifest holds."""
        ramps = np.stack([part.ramp_y_rad_per_px, part.ramp_x_rad_per_px], axis=-1)
        return cls(
            np.array(part.z_um),
            np.array(part.log_amplitude),
            np.array(part.piston_rad),
            ramps,
            np.array(part.bend_rad_per_px2),
            np.array(part.height_um),
        )

    def factor(
        self, number: int, z_um: float, y_px: FloatArray, x_px: FloatArray
    ) -> NDArray[np.complex128]:
        """What to multiply a tile's field [y, x] by; pixels of the frames from its centre."""
        along_y, along_x = self.factors(number, np.array([z_um]), y_px, x_px)
        return np.asarray(along_y[0][:, None] * along_x[0])

    def factors(
        self, number: int, z_um: FloatArray, y_px: FloatArray, x_px: FloatArray
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """The same at several heights, as factors of rows [z, y] and of columns [z, x]."""
        amplitude, piston, ramp_y, ramp_x, bend = (
            np.interp(z_um, self.z_um, values)[:, None]
            for values in (
                self.log_amplitude[number],
                self.piston_rad[number],
                *self.ramp_y_x_rad_per_px[number].T,
                self.bend_rad_per_px2[number],
            )
        )
        along_y = np.exp(-amplitude - 1j * (piston + ramp_y * y_px + bend * y_px**2))
        return along_y, np.exp(-1j * (ramp_x + bend * x_px) * x_px)


def heights_of(plan: Plan) -> FloatArray:
    """Heights at which gauges are measured: about one a depth of field of the solved image."""
    low, high = plan.settings.z_range_um
    if low == high:
        return np.array([low])
    count = min(MOST_HEIGHTS, 2 + int((high - low) / plan.depth_of_field_um))
    return np.linspace(low, high, max(count, 3))


def settle(
    plan: Plan,
    folder: Path,
    records: Sequence[Record],
    listen: Callable[[int, int], None] = lambda done, total: None,
) -> Gauge:
    """Measure all overlaps of a mosaic and solve for its gauges.

    Every tile is rendered once at every height; strips of two rows of tiles are in memory.
    """
    z_um = heights_of(plan)
    agreements = list(_overlaps(plan, folder, records, z_um, listen))
    unlikely = UNLIKELY if plan.settings.begins_bent else UNLIKELY_OF_OTHERS
    found = solve_gauge(plan.tiles, z_um, agreements, unlikely=unlikely)
    return replace(found, bend_rad_per_px2=found.bend_rad_per_px2 + plan.bend_rad_per_px2)


def solve_gauge(
    tiles: Sequence[Tile],
    z_um: FloatArray,
    agreements: Sequence[Agreement],
    *,
    unlikely: float = UNLIKELY,
) -> Gauge:
    """Factors and heights of all tiles from what pairs of them agree on, by least squares.

    `unlikely` says how much slopes and bends are drawn to 0.
    """
    count, heights = len(tiles), len(z_um)
    amplitude, piston = np.zeros((2, count, heights))
    ramp, bend = np.zeros((count, heights, 2)), np.zeros((count, heights))
    middle = np.array(
        [(y + (h - 1) / 2, x + (w - 1) / 2) for y, x, h, w in (t.crop for t in tiles)]
    )
    for z in range(heights):
        pairs = [one for one in agreements if one.coherence_z[z] > LEAST_COHERENCE]
        if not pairs:
            continue
        first, second = (np.array([getattr(p, n) for p in pairs]) for n in ("first", "second"))
        weight = np.array([one.weight(z) for one in pairs])
        amplitude[:, z] = _spread(
            count, first, second, weight, np.array([one.log_ratio_z[z] for one in pairs])
        )
        slope = np.array([[*one.ramp_z_y_x[z], one.bend_z[z]] for one in pairs])
        at = np.array([one.centre_y_x_px for one in pairs])
        ramp[:, z], bend[:, z] = _spread_slopes(middle, at, first, second, weight, slope, unlikely)

        def made(tile: NDArray[np.intp], z: int = z, at: FloatArray = at) -> FloatArray:
            """What slopes and bend make of a tile's phase at the overlap."""
            off = at - middle[tile]
            return np.asarray(((ramp[tile, z] + bend[tile, z, None] * off) * off).sum(axis=1))

        phase = np.array([one.phase_z[z] for one in pairs])
        piston[:, z] = _spread_phase(
            count, first, second, weight, phase - made(second) + made(first)
        )
    with_height = [one for one in agreements if one.height_weight > 0]
    height = np.zeros(count)
    if with_height:
        height = _spread(
            count,
            np.array([one.first for one in with_height]),
            np.array([one.second for one in with_height]),
            np.array([one.height_weight for one in with_height]),
            np.array([one.height_um for one in with_height]),
        )
    return Gauge(z_um, amplitude, piston, ramp, bend, height)


def _spread(
    count: int,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    weight: FloatArray,
    difference: FloatArray,
) -> FloatArray:
    """Values of mean 0 whose differences (second - first) fit best."""
    row = np.arange(len(first))
    matrix = coo_matrix(
        (
            np.concatenate([-weight, weight]),
            (np.concatenate([row, row]), np.concatenate([first, second])),
        ),
        shape=(len(first), count),
    ).tocsr()
    # of all that fit equally well the smallest: of mean 0
    found = lsqr(matrix, weight * difference, atol=1e-13, btol=1e-13, iter_lim=50 * count)[0]
    return np.asarray(found)


def _spread_slopes(
    middle_y_x: FloatArray,
    at_y_x: FloatArray,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    weight: FloatArray,
    slope_bend: FloatArray,
    unlikely: float,
) -> tuple[FloatArray, FloatArray]:
    """Slopes [tile, 2] and bends [tile] whose differences at the overlaps fit best.

    A bend b makes a slope 2 b (x - middle). Slopes in proportion to the tiles' places, with the
    bends that go with them, bend the whole field, which no overlap sees; and what solves have wrong
    in slow phase adds up from tile to tile. So large slopes and bends are held to be unlikely.
    """
    count, pairs = len(middle_y_x), np.arange(len(first))
    reach = max(float(np.abs(at_y_x - middle_y_x[first]).max()), 1.0)
    rows, columns, values = [], [], []
    for tile, sign in ((first, -1.0), (second, 1.0)):
        off = at_y_x - middle_y_x[tile]
        for axis in range(2):
            at = pairs + axis * len(pairs)
            rows += [at, at]
            columns += [3 * tile + axis, 3 * tile + 2]
            values += [sign * weight, 2 * sign * weight * off[:, axis] / reach]
        rows.append(pairs + 2 * len(pairs))
        columns.append(3 * tile + 2)
        values.append(sign * weight)
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    matrix = coo_matrix(entries, shape=(3 * len(pairs), 3 * count)).tocsr()
    wanted = (weight[:, None] * slope_bend * [1.0, 1.0, reach]).T.ravel()
    damp = unlikely * float(weight.mean())
    found = lsqr(matrix, wanted, damp=damp, atol=1e-13, btol=1e-13, iter_lim=100 * count)[0]
    ramp_bend = found.reshape(count, 3)
    return ramp_bend[:, :2], ramp_bend[:, 2] / reach


def _spread_phase(
    count: int,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    weight: FloatArray,
    difference: FloatArray,
) -> FloatArray:
    """As `_spread`, for differences that are known but for whole turns.

    A tree of the overlaps that agree best gives phases that every other difference is within half
    a turn of.
    """
    # of several edges the tree takes the lightest; an edge of no weight is none to SciPy
    cost = csr_matrix((2 - weight / weight.max(), (first, second)), shape=(count, count))
    tree = minimum_spanning_tree(cost)
    tree = tree + tree.T
    known = {(i, j): d for i, j, d in zip(first, second, difference, strict=True)}
    begun, done = np.zeros(count), np.zeros(count, dtype=bool)
    for root in range(count):
        if done[root]:
            continue
        order, parents = breadth_first_order(tree, root, directed=False)
        done[order] = True
        for tile in order[1:]:
            parent = parents[tile]
            step = known.get((parent, tile))
            begun[tile] = begun[parent] + (-known[tile, parent] if step is None else step)
    left = difference - (begun[second] - begun[first])
    left -= 2 * np.pi * np.round(left / (2 * np.pi))
    found = begun + _spread(count, first, second, weight, left)
    return np.asarray(found - found.mean())


def _overlaps(
    plan: Plan,
    folder: Path,
    records: Sequence[Record],
    z_um: FloatArray,
    listen: Callable[[int, int], None],
) -> Iterator[Agreement]:
    """Agreements of all neighbours, tile by tile."""
    tiles, columns, factor = plan.tiles, len(plan.columns.starts), plan.settings.upsample
    strips: dict[tuple[int, int], NDArray[np.complex64]] = {}
    for tile in tiles:
        neighbours = [
            (other, window)
            for other in _around(tile.number, tile.column, columns, len(tiles))
            if (window := shared(tile, tiles[other], plan.edge_px)) is not None
        ]
        if records[tile.number].kind == "dark":
            neighbours = []
        strips |= _rendered(plan, folder, tile, neighbours, z_um)
        for other, window in neighbours:
            if other > tile.number:
                continue
            before = strips.pop((other, tile.number), None)
            after = strips.pop((tile.number, other))
            if before is not None:
                yield _compared(other, tile.number, before, after, window, factor, z_um)
        listen(tile.number + 1, len(tiles))


def _compared(
    first: int,
    second: int,
    before: NDArray[np.complex64],
    after: NDArray[np.complex64],
    window: tuple[int, int, int, int],
    factor: int,
    z_um: FloatArray,
) -> Agreement:
    found = compare(first, second, before, after, window, factor)
    return height_offset(found, before, after, z_um)


def _around(number: int, column: int, columns: int, count: int) -> list[int]:
    """Neighbours left, right, above and below."""
    found = [number - columns, number + columns]
    found += [number - 1] if column > 0 else []
    found += [number + 1] if column < columns - 1 else []
    return [other for other in found if 0 <= other < count]


def shared(one: Tile, other: Tile, edge_px: int) -> tuple[int, int, int, int] | None:
    """Window (y, x, height, width) of the frames that both tiles stand for, without their edges."""
    starts, sizes = [], []
    for axis in range(2):
        low = max(one.crop[axis], other.crop[axis]) + edge_px
        high = min(t.crop[axis] + t.crop[axis + 2] for t in (one, other)) - edge_px
        starts.append(low)
        sizes.append(high - low)
    if min(sizes) < 2:
        return None
    return starts[0], starts[1], sizes[0], sizes[1]


def _rendered(
    plan: Plan,
    folder: Path,
    tile: Tile,
    neighbours: Sequence[tuple[int, tuple[int, int, int, int]]],
    z_um: FloatArray,
) -> dict[tuple[int, int], NDArray[np.complex64]]:
    """Strips [z, y, x] that a tile shares with its neighbours, on the mosaic's scale."""
    if not neighbours:
        return {}
    solution = read_solution(field_path(folder, tile.number))
    scale = np.float32(solution.amplitude_scale / plan.amplitude_scale)
    factor = plan.settings.upsample
    made: dict[tuple[int, int], list[NDArray[np.complex64]]] = {}
    for stack in solution.slices(z_um):
        image = stack.field_z_y_x[0]
        for other, (y, x, height, width) in neighbours:
            top, left = (y - tile.crop[0]) * factor, (x - tile.crop[1]) * factor
            part = image[top : top + height * factor, left : left + width * factor] * scale
            places = [
                start + np.arange(count) / factor - crop - (length - 1) / 2
                for start, count, crop, length in zip(
                    (y, x), part.shape, tile.crop[:2], tile.crop[2:], strict=True
                )
            ]
            turns = [np.exp(-1j * plan.bend_rad_per_px2 * at**2) for at in places]
            part = (part * turns[0][:, None] * turns[1]).astype(np.complex64)
            made.setdefault((tile.number, other), []).append(part)
    return {key: np.stack(parts) for key, parts in made.items()}
