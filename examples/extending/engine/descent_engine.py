"""An engine: gradient descent on the pixels of one plane, by automatic differentiation."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import Instrument
from fpm_inr.solve.engine import Engine, Fit, Solve
from fpm_inr.solve.problem import Problem


class Settings(BaseModel):
    """What a recipe may say: ``fpm-inr reconstruct ... --engine descent --recipe mine.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(60, ge=1)
    rate: float = Field(0.05, gt=0)


class Descent(Engine):
    name = "descent"
    settings = Settings

    def start(self, problem: Problem) -> Solve:
        return DescentSolve(problem)


class DescentSolve(Solve):
    def __init__(self, problem: Problem) -> None:
        self.problem, model = problem, problem.model
        # the lower end of the range; a clear object, real and imaginary part
        self.z_um = torch.tensor(problem.z_range_um[:1], device=model.device)
        self.pixels = torch.zeros(*model.field_shape_y_x, 2, device=model.device)
        self.pixels[..., 0] = 1
        self.velocity = torch.zeros_like(self.pixels)
        self.leds = torch.from_numpy(problem.used_led).to(model.device)
        self.aperture = model.aperture(problem.instrument).select(self.leds)

    @property
    def total(self) -> int:
        return int(self.problem.settings.steps)

    def advance(self) -> Fit:
        model, pixels = self.problem.model, self.pixels.requires_grad_()
        spectrum = model.spectrum(torch.view_as_complex(pixels))[None]
        predicted = model.amplitude(spectrum, self.z_um, self.leds, self.aperture)[0]
        error = predicted - self.problem.amplitude_led_y_x[self.leds]
        if self.problem.pixels is not None:  # those that lie say nothing
            error = self.problem.pixels.select(self.leds).error(error)
        loss = error.square().mean()
        (gradient,) = torch.autograd.grad(loss * pixels.numel(), pixels)
        self.velocity = 0.9 * self.velocity + gradient
        self.pixels = pixels.detach() - self.problem.settings.rate * self.velocity
        return Fit(loss.detach(), loss.detach(), float(self.z_um))

    def tensors(self) -> dict[str, Tensor]:
        return {"pixels": self.pixels.detach(), "velocity": self.velocity}

    def load(self, tensors: dict[str, Tensor]) -> None:
        self.pixels = tensors["pixels"].to(self.pixels.device)
        self.velocity = tensors["velocity"].to(self.pixels.device)

    def field(self) -> PixelField:
        image = torch.view_as_complex(self.pixels.detach().cpu())
        return PixelField(image[None], self.z_um.cpu()).requires_grad_(False)

    def instrument(self) -> Instrument:
        return self.problem.instrument
