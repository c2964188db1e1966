"""Names of devices: any of torch's, tried before use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fpm_inr.cli import main
from fpm_inr.cli.mosaic import workers_of
from fpm_inr.device import (
    card_count,
    describe_device,
    devices_here,
    in_plain_words,
    pick_device,
    take_card,
)
from fpm_inr.errors import SettingsError
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import reconstruct
from tests.pretended import CARD, PretendedCard
from tests.tiny import tiny_acquisition


@pytest.mark.parametrize("name", ["tpu", "", "cuda:x", "cpu cpu"])
def test_what_torch_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="give auto, cpu, cuda, cuda:1, mps"):
        pick_device(name)


@pytest.mark.parametrize("name", ["cuda:99", "mps:7", "xpu", "meta"])
def test_what_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"is {name}, which.*give auto or cpu"):
        pick_device(name)


def test_the_cpu_and_what_is_best_are_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert str(pick_device("auto")) in ("cpu", "cuda", "mps")
    assert devices_here()[:2] == ["auto", "cpu"]
    assert describe_device(torch.device("cpu")) == "cpu"


def test_auto_prefers_cuda_then_a_sound_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    # here it cannot compute
    assert pick_device("auto").type == "cpu"
    monkeypatch.setattr("fpm_inr.device._objection", lambda device: "")
    assert pick_device("auto").type == "mps"


def test_workers_take_several_cards_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr("fpm_inr.device._objection", lambda device: "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert [card_count(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == [3, 3, 1, 1]
    for place in range(4):
        for name in ("cuda", "cuda:1", "cpu"):
            take_card(name, place)
    assert taken == [0, 1, 2, 0]
    assert workers_of({"workers": None, "device": "cuda"}) == 3
    assert workers_of({"workers": None, "device": "cuda:1"}) == 1
    assert workers_of({"workers": 5, "device": "cuda"}) == 5


def test_a_device_that_computes_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with PretendedCard():
        assert pick_device("meta") == CARD
        assert describe_device(CARD) == "meta"
        there = [0.0] * 16
        monkeypatch.setattr(
            "fpm_inr.device._trial", lambda device: there if device == CARD else [1.0] * 16
        )
        with pytest.raises(SettingsError, match="whose numbers are not those of a CPU"):
            pick_device("meta")


@pytest.mark.parametrize("name", ["aten::scatter_add_", "aten::_fft_c2c", "aten::mm"])
def test_a_device_that_lacks_an_operation_is_refused(name: str) -> None:
    with (
        PretendedCard(lacks=frozenset({name})),
        pytest.raises(SettingsError, match=rf"meta, for which this torch lacks .*{name[6:]}; give"),
    ):
        pick_device("meta")


def test_a_refused_device_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr("fpm_inr.device._objection", lambda device: "which is not sound")
    with pytest.raises(SettingsError, match="is mps:0, which is not sound; give auto or cpu\\."):
        pick_device("mps:0")
    with pytest.raises(SettingsError, match=r"is xpu, .*; give auto or cpu or mps\."):
        pick_device("xpu")


def test_a_device_that_others_fill_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(device: object) -> list[float]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("fpm_inr.device._trial", full)
    with PretendedCard(), pytest.raises(SettingsError, match="meta, whose memory is full; give"):
        pick_device("meta")


def test_what_a_device_lacks_halfway_ends_in_a_sentence() -> None:
    acquisition = tiny_acquisition()
    with PretendedCard() as card:
        reconstruct(acquisition, device="meta", steps=2)
        pick_device("meta")
    # none that its trial makes, and so none that it is refused for beforehand
    assert "aten::rsqrt" in card.made
    with (
        PretendedCard(lacks=frozenset({"aten::rsqrt"})),
        pytest.raises(SettingsError, match=r"lacks the operation rsqrt.*give --device cpu"),
    ):
        reconstruct(acquisition, device="meta", steps=2)


def test_a_device_of_no_double_precision_says_so() -> None:
    words = (
        "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support "
        "float64. Please use float32 instead."
    )
    with pytest.raises(SettingsError, match="lacks double precision"), in_plain_words():
        raise TypeError(words)
    with pytest.raises(TypeError, match="another"), in_plain_words():
        raise TypeError("another")


@pytest.mark.parametrize("verb", ["reconstruct", "calibrate", "mosaic"])
def test_a_command_ends_in_a_sentence(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.h5"
    write_acquisition(data, tiny_acquisition())
    with pytest.raises(SystemExit) as left:
        main([verb, str(data), "-o", str(tmp_path / "out"), "--device", "cuda:99"])
    assert left.value.code == 2
    assert "device: is cuda:99" in capsys.readouterr().err


def test_a_device_of_no_name_ends_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["focus", "none", "-o", str(tmp_path / "out"), "--device", "tpu"])
    assert left.value.code == 2
    assert "device: is 'tpu'" in capsys.readouterr().err
