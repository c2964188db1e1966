"""A simulator of Fourier ptychographic acquisitions, with the truth beside them.

It shares no optics with the reconstruction: what it makes can contradict the model.
"""

from fpm_inr.simulate.camera import Camera
from fpm_inr.simulate.experiment import Setup, Simulation, simulate
from fpm_inr.simulate.patterns import PATTERNS, pattern
from fpm_inr.simulate.presets import PRESETS, preset
from fpm_inr.simulate.rig import Errors, Rig
from fpm_inr.simulate.samples import SHAPES, SUBJECTS, Specimen
from fpm_inr.simulate.truth import Truth, load_truth, write_truth

__all__ = [
    "PATTERNS",
    "PRESETS",
    "SHAPES",
    "SUBJECTS",
    "Camera",
    "Errors",
    "Rig",
    "Setup",
    "Simulation",
    "Specimen",
    "Truth",
    "load_truth",
    "pattern",
    "preset",
    "simulate",
    "write_truth",
]
