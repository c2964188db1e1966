"""How far a problem has come: what a checkpoint holds, and how it is taken up again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor

from fpm_inr.errors import DataError
from fpm_inr.forward import Instrument
from fpm_inr.instrument import Free
from fpm_inr.instrument.tensors import exact_tensors, from_tensors
from fpm_inr.solve.drive import Log
from fpm_inr.solve.progress import StepReport
from fpm_inr.solve.request import Request
from fpm_inr.solve.start import JointStart, as_used, start_at

if TYPE_CHECKING:
    from fpm_inr.solve.engine import Solve
    from fpm_inr.solve.problem import Problem

Stage = Literal["placing", "solving", "judging", "again", "done"]


@dataclass(eq=False)
class Journey:
    """How far a problem has come.

    Parameters
    ----------
    stage : str
        What is under way.
    start : JointStart, optional
        Of the solve under way; None while placing.
    problem : Problem, optional
        What its engine was given.
    solve : Solve, optional
        That solve.
    log : Log
        What is told of it.
    upsampling : int
    residuals : list of float
        Of short solves, with the instrument as stated and as found.
    refused : str
        Why what was learned is not believed.
    first_record : dict
        How the first solve was started, once it is made again.
    first_seconds : float
        What it took.
    """

    stage: Stage = "placing"
    start: JointStart | None = None
    problem: Problem | None = None
    solve: Solve | None = None
    log: Log = field(default_factory=Log)
    upsampling: int = 0
    residuals: list[float] = field(default_factory=list)
    refused: str = ""
    first_record: dict[str, Any] | None = None
    first_seconds: float = 0.0

    @property
    def is_again(self) -> bool:
        return self.first_record is not None

    def begin(self, request: Request, start: JointStart, stage: Stage) -> None:
        """Go on with a solve from this start."""
        self.start, self.stage = start, stage
        self.upsampling = self.upsampling or request.upsampling_from(start)
        self.problem = request.problem(start, self.upsampling)
        self.solve, self.log = request.engine.start(self.problem), Log()

    def found(self) -> Instrument:
        """The instrument that the solve under way has come to, in double precision."""
        assert self.solve is not None
        return self.solve.instrument().to("cpu", torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a checkpoint. A solve without steps has none of its own."""
        named: dict[str, Tensor] = {}
        if self.start is not None:
            named |= {
                f"start.{name}": v for name, v in exact_tensors(self.start.instrument).items()
            }
        if self.solve is not None and self.solve.step:
            named |= {f"solve.{name}": v for name, v in self.solve.tensors().items()}
        return named

    def header(self) -> dict[str, Any]:
        """All else, as plain JSON values."""
        plain = ("stage", "upsampling", "residuals", "refused", "first_record", "first_seconds")
        header = {name: getattr(self, name) for name in plain}
        if self.start is not None:
            header["start_record"] = self.start.record
        if self.solve is not None and self.solve.step:
            header["solve"] = {
                "step": self.solve.step,
                "seconds": self.log.seconds,
                "history": [asdict(row) for row in self.log.history],
            }
        return header


def restored(
    request: Request, tensors: dict[str, Tensor], header: dict[str, Any], source: object
) -> Journey:
    """The journey of `Journey.tensors` and `Journey.header`.

    Raises
    ------
    DataError
        Something is missing, or does not fit the request.
    """
    try:
        return _restored(request, tensors, header)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise DataError(
            "is a damaged checkpoint",
            "delete it and start again without --resume",
            source=source,
        ) from error


def _restored(request: Request, tensors: dict[str, Tensor], header: dict[str, Any]) -> Journey:
    if header["stage"] not in get_args(Stage):
        raise ValueError(f"stage {header['stage']!r}")
    journey = Journey(
        header["stage"],
        upsampling=int(header["upsampling"]),
        residuals=[float(one) for one in header["residuals"]],
        refused=str(header["refused"]),
        first_record=header["first_record"],
        first_seconds=float(header["first_seconds"]),
    )
    if journey.stage == "placing":
        return journey
    instrument = from_tensors(_named(tensors, "start."))
    free = Free() if journey.is_again else as_used(request.free, request.given)
    start = start_at(
        request.acquisition, instrument, free, request.z_range_um, header["start_record"]
    )
    journey.begin(request, start, journey.stage)
    assert journey.solve is not None
    if "solve" in header:
        told = header["solve"]
        journey.solve.step = int(told["step"])
        journey.solve.load(_named(tensors, "solve."))
        journey.log = Log(float(told["seconds"]), [StepReport(**row) for row in told["history"]])
    return journey


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
