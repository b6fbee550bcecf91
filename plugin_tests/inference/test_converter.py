"""The converter: sanitises, bounds, measures light, shares backends, and is a pure function."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vsdslnet import weights
from vsdslnet.color.light import measure_light_nits
from vsdslnet.color.measured import measured_pq
from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.color.transfer import nits_to_pq, pq_scalar
from vsdslnet.errors import ArgumentError, BackendError, WeightsError
from vsdslnet.inference import converter
from vsdslnet.inference.converter import Converter
from vsdslnet.inference.lut import distil
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensated
from vsdslnet.options import BackendOptions, ConvertOptions


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(3)
    config = DSLNetConfig(radius=1, features=8, kernel=5, dynamic_kernel=3, condition_pixels=1024)
    network = DSLNet(config)
    torch.nn.init.normal_(network.head.weight, std=0.05)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    weights.save(network, path)
    return str(path)


class _ConstantBackend:
    """A backend whose picture a test chooses."""

    radius_frames = 0
    base = "measured"
    description = "constant"

    def __init__(self, value: float) -> None:
        self.value = value
        self.calls = 0

    def __call__(self, window: Tensor) -> Tensor:
        self.calls += 1
        return torch.full_like(window[0], self.value)


def window_of(*, frames: int = 3, height: int = 20, width: int = 28) -> Tensor:
    torch.manual_seed(4)
    return torch.rand(frames, 3, height, width)


def test_a_window_becomes_the_networks_frame(model: str) -> None:
    window = window_of()
    frame = Converter.load(ConvertOptions(model=model, device="cpu", precision="fp32", backend="torch"))(window)
    with torch.no_grad():
        expected = weights.load_network(weights.read(Path(model)))(compensated(window[None]))[0]
    assert (frame.pq - expected.clamp(0, pq_scalar(1000))).abs().max() < 1e-4
    assert not torch.allclose(frame.pq, measured_pq(window[1]), atol=1e-3)


@pytest.mark.parametrize("value", [-5.0, 0.4, 7.0, float("inf"), float("-inf")])
def test_whatever_the_backend_says_stays_within_black_and_peak(value: float) -> None:
    for peak in (300.0, 1000.0, 4000.0):
        settings = ConvertOptions(peak_nits=peak)
        frame = Converter(_ConstantBackend(value), settings)(torch.rand(1, 3, 6, 6))
        assert frame.pq.min() >= 0
        assert float(frame.pq.max()) <= pq_scalar(peak) + 1e-7
        assert 0 <= frame.average_nits <= frame.max_nits * 1.0001 <= peak * 1.001


def test_a_nan_of_the_backend_is_an_error_not_a_picture() -> None:
    with pytest.raises(BackendError, match="not finite"):
        Converter(_ConstantBackend(float("nan")), ConvertOptions())(torch.rand(1, 3, 6, 6))


def test_strength_zero_needs_no_backend_and_is_the_plain_conversion() -> None:
    backend = _ConstantBackend(0.5)
    sdr = torch.rand(1, 3, 8, 9)
    frame = Converter(backend, ConvertOptions(strength=0))(sdr)
    assert backend.calls == 0
    assert torch.equal(frame.pq, plain_pq(sdr[0]))


def test_bad_numbers_of_the_source_count_as_black_white_or_the_nearest(model: str) -> None:
    convert = Converter.load(ConvertOptions(model=model))
    clean = window_of()
    clean[1, 0, 0, :4] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    dirty = clean.clone()
    dirty[1, 0, 0, :4] = torch.tensor([float("nan"), float("inf"), float("-inf"), 3.5])
    assert torch.equal(convert(dirty).pq, convert(clean).pq)


def test_the_callers_window_is_left_alone(model: str) -> None:
    window = window_of() * 3 - 1
    before = window.clone()
    Converter.load(ConvertOptions(model=model))(window)
    assert torch.equal(window, before)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_window_may_be_overwritten_instead_of_copied(model: str, strength: float) -> None:
    convert = Converter.load(ConvertOptions(model=model, strength=strength))
    window = window_of() * 3 - 1
    window[1, 0, 0, :3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    expected = convert(window).pq
    assert torch.equal(convert(window, overwrite=True).pq, expected)
    assert 0 <= window[1].min() <= window[1].max() <= 1


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (5, 3, 8, 8), (3, 1, 8, 8), (3, 8, 8), (1, 3, 3, 8, 8)])
def test_a_window_of_another_shape_is_refused(model: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="window"):
        Converter.load(ConvertOptions(model=model))(torch.rand(shape))


def test_light_is_measured_on_the_brightest_channel() -> None:
    nits = torch.zeros(3, 2, 2)
    nits[0, 0, 0], nits[2, 0, 1], nits[1, 1, 1] = 400, 800, 100
    nits[:, 1, 0] = 300
    brightest, average = measure_light_nits(nits_to_pq(nits))
    assert brightest == pytest.approx(800, rel=1e-3)
    assert average == pytest.approx((400 + 800 + 100 + 300) / 4, rel=1e-3)


def test_black_has_no_light() -> None:
    assert measure_light_nits(torch.zeros(3, 4, 4)) == (0.0, 0.0)


def test_equal_backend_settings_share_one_backend_even_when_asked_at_once(model: str) -> None:
    barrier = threading.Barrier(4)

    def ask(peak_nits: float) -> Converter:
        barrier.wait(30)
        return Converter.load(ConvertOptions(model=model, peak_nits=peak_nits, device_index=1))

    with ThreadPoolExecutor(4) as pool:
        converters = list(pool.map(ask, (400.0, 600.0, 800.0, 1000.0)))
    assert len({id(converter._backend) for converter in converters}) == 1


def test_threads_and_order_change_nothing(model: str) -> None:
    convert = Converter.load(ConvertOptions(model=model))
    torch.manual_seed(0)
    windows = [torch.rand(3, 3, 17, 22) for _ in range(6)]
    in_order = [convert(window).pq for window in windows]
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda w: convert(w).pq, windows[::-1]))[::-1]
    for a, b in zip(in_order, again, strict=True):
        assert torch.equal(a, b)


def test_an_unknown_model_is_a_weights_error_every_time() -> None:
    for _ in range(2):
        with pytest.raises(WeightsError, match="nope"):
            Converter.load(ConvertOptions(model="nope"))


@pytest.mark.parametrize("as_lut", [False, True])
def test_backends_run_on_threads_that_stay(as_lut: bool, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    class Watched(_ConstantBackend):
        def __call__(self, window: Tensor) -> Tensor:
            names.append(threading.current_thread().name)
            return super().__call__(window)

    settings = ConvertOptions(model=model)
    if as_lut:
        monkeypatch.setattr(distil, "get_backend", lambda _: Watched(0.4))
        distil.distil(torch.rand(1, 3, 16, 16), settings.part(BackendOptions))
    else:
        converter.Converter(Watched(0.4), settings)(torch.rand(1, 3, 16, 16))
    assert names == ["vsdslnet backend"]
