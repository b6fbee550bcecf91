"""The paper's tables: every variant's size, shape, and what makes the comparison fair."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.color.bases import BASES
from vsdslnet.color.measured import measured_pq
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.paper.ablation import AblationNet, PartialCondition, Parts
from vsdslnet.training.paper.baselines.lut3d import Lut, apply_lut
from vsdslnet.training.paper.baselines.sr_itm import guided_base
from vsdslnet.training.paper.variants import VARIANTS, build_variant, count_parameters

SMALL = DSLNetConfig(features=8, kernel=5, dynamic_kernel=3, condition_pixels=1024)
TRAINABLE = [name for name in VARIANTS if name != "hdrtvnet-hg"]  # 38 million parameters are slow to test
# Gate open everywhere, so that an exact comparison sees the network.
OUTRIGHT = DSLNetConfig(features=8, kernel=5, dynamic_kernel=3, condition_pixels=1024, base="none")


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.paper_parameters])
def test_parameters_are_within_3_percent_of_the_papers(name: str) -> None:
    paper = VARIANTS[name].paper_parameters
    assert paper is not None
    assert abs(count_parameters(build_variant(name)) / paper - 1) < 0.03


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dslnet", 929_949),
        ("resnet", 1_369_859),
        ("csrnet", 36_489),
        ("lut3d", 593_516),
        ("adaint", 619_724),
        ("sr-itm", 2_871_875),
        ("hdrtvnet", 1_405_110),
        ("hdrtvnet-hg", 38_199_310),
        ("m0", 742_083),
        ("m1", 786_339),
        ("m2", 712_867),
        ("m3", 762_211),
        ("m4", 778_723),
        ("m5", 948_989),
        ("m6", 875_517),
        ("mresnet", 1_376_771),
        ("no-align", 1_044_515),
        ("no-modulation", 1_041_405),
    ],
)
def test_parameters_are_what_the_docstrings_say(name: str, parameters: int) -> None:
    assert count_parameters(build_variant(name)) == parameters


def test_every_table_of_the_paper_is_covered() -> None:
    tables = {variant.table for variant in VARIANTS.values()}
    assert tables == {"1", "1-5", "2", "3", "4", "5", "reading"}
    assert sum(variant.table == "1" for variant in VARIANTS.values()) >= 6
    assert [name for name in VARIANTS if VARIANTS[name].table == "2"] == [f"m{i}" for i in range(7)]


@pytest.mark.parametrize("name", list(VARIANTS))
def test_any_frame_size_gives_a_frame_of_that_size(name: str) -> None:
    network = build_variant(name, SMALL).eval()
    for size in ((33, 39), (18, 20)):  # instance norm needs more than one cell after four datasets
        with torch.no_grad():
            pq = network(torch.rand(2, 5, 3, *size))
        assert pq.shape == (2, 3, *size)
        assert torch.isfinite(pq).all()


@pytest.mark.parametrize("name", TRAINABLE)
def test_untrained_all_start_at_the_same_base(name: str) -> None:
    network = build_variant(name, SMALL).eval()
    window = torch.rand(1, 5, 3, 20, 24)
    if network.config.base != "measured":
        pytest.skip("the base is what this row changes")
    with torch.no_grad():
        assert torch.equal(network(window), measured_pq(window[:, 2]))


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_few_steps_of_adam_learn(name: str) -> None:
    config = SMALL
    torch.manual_seed(0)
    network = build_variant(name, config).train()
    window = torch.rand(1, 5, 3, 20, 20)
    target = BASES.get(network.config.base, measured_pq)(window[:, 2]) * 0.9
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(4):
        pq = network.render(window, network.shared_conditions(window), [(0.0, 0.0, 1.0, 1.0)])
        loss = (pq - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("name", TRAINABLE)
def test_no_parameter_is_idle_once_the_head_moved(name: str) -> None:
    torch.manual_seed(0)
    network = build_variant(name, OUTRIGHT if VARIANTS[name].table != "reading" else SMALL).train()
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.1)
    network(torch.rand(2, 5, 3, 32, 32)).square().mean().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key


@pytest.mark.parametrize("name", ["m0", "m1", "m2", "resnet", "csrnet", "lut3d", "adaint", "sr-itm", "hdrtvnet"])
def test_single_frame_networks_see_the_centre_only(name: str) -> None:
    network = build_variant(name, OUTRIGHT).eval()
    window = torch.rand(1, 5, 3, 20, 20)
    other = torch.rand(1, 5, 3, 20, 20)
    other[:, 2] = window[:, 2]
    with torch.no_grad():
        assert torch.equal(network(window), network(other))


@pytest.mark.parametrize("name", ["m3", "m4", "m5", "m6", "dslnet", "mresnet", "no-align", "no-modulation"])
def test_multi_frame_networks_see_every_frame(name: str) -> None:
    torch.manual_seed(0)
    network = build_variant(name, OUTRIGHT).eval()
    window = torch.rand(1, 5, 3, 20, 20)
    with torch.no_grad():
        before = network(window)
        for frame in range(5):
            changed = window.clone()
            changed[:, frame] = 0.9
            assert not torch.equal(network(changed), before), frame


@pytest.mark.parametrize("name", ["csrnet", "lut3d", "adaint"])
def test_a_crop_under_the_whole_frames_condition_equals_its_place(name: str) -> None:
    """These are pointwise, so nothing but the condition can differ."""
    network = build_variant(name, OUTRIGHT).eval()
    window = torch.rand(1, 5, 3, 40, 40)
    with torch.no_grad():
        conditions = network.shared_conditions(window)
        crop = network.render(window[..., 8:20, 10:30], conditions, [(0.25, 0.2, 0.75, 0.5)])
        assert (crop - network(window)[..., 8:20, 10:30]).abs().max() < 1e-5


def test_all_parts_seated_are_dslnets_own_pieces() -> None:
    assert count_parameters(AblationNet(DSLNetConfig(), Parts())) == count_parameters(DSLNet())


def test_all_parts_seated_compute_what_dslnet_computes() -> None:
    torch.manual_seed(0)
    seated, dslnet = AblationNet(OUTRIGHT, Parts()).eval(), DSLNet(OUTRIGHT).eval()
    dslnet.load_state_dict(
        {
            name.replace("align.", "dmfa.")
            .replace("enhance.", "lkqe.")
            .replace("condition.", "stfm.condition.")
            .replace("modulation.", "stfm.modulation.")
            .replace("residual.", "stfm.residual."): value
            for name, value in seated.state_dict().items()
        }
    )
    window = torch.rand(1, 5, 3, 20, 24)
    with torch.no_grad():
        assert torch.equal(seated(window), dslnet(window))


@pytest.mark.parametrize("name", ["m0", "m4", "m6", "no-align", "no-modulation"])
def test_variants_start_with_the_weights_sizes_of_dslnet(name: str) -> None:
    """Or the tables would compare initialisations."""
    torch.manual_seed(0)
    variant, dslnet = build_variant(name), DSLNet()
    for ours, theirs in ((variant.residual[0], dslnet.stfm.residual[0]), (variant.enhance[0], dslnet.lkqe[0])):
        assert float(ours.weight.std() / theirs.weight.std()) == pytest.approx(1, abs=0.02)
        assert ours.bias.abs().max() == 0


def test_a_missing_vector_is_the_identity() -> None:
    condition = PartialCondition(SMALL, temporal=False, spatial=False)
    vectors = condition(torch.rand(2, 5, 3, 32, 32))
    ones_zeros = torch.cat([torch.ones(2, 8), torch.zeros(2, 8)], dim=1)
    assert torch.equal(vectors.temporal, ones_zeros)
    assert torch.equal(vectors.spatial[..., 0, 0], ones_zeros)
    assert not torch.equal(vectors.current, ones_zeros)


@pytest.mark.parametrize("name", ["lut3d", "adaint"])
def test_an_untrained_lut_is_close_to_the_identity_times_its_weight(name: str) -> None:
    network = build_variant(name, OUTRIGHT).eval()
    with torch.no_grad():
        for parameter_name, parameter in network.named_parameters():
            if parameter_name == "weights.weight":
                parameter.zero_()
        window = torch.rand(1, 5, 3, 30, 30)
        assert (network(window) - window[:, 2]).abs().max() < 1e-5


def test_uneven_vertices_place_values_piecewise_linearly() -> None:
    even = torch.linspace(0, 1, 33)
    table = even.view(1, 1, 1, 1, 33).expand(1, 3, 33, 33, 33)  # every channel: place of red
    vertices = even.square().expand(1, 3, 33).contiguous()
    red = torch.tensor([0.0, float(even[7]) ** 2, (float(even[7]) ** 2 + float(even[8]) ** 2) / 2, 1.0])
    sdr = torch.stack([red, torch.zeros(4), torch.zeros(4)]).view(1, 3, 1, 4)
    got = apply_lut(sdr, Lut(table, vertices))[0, 0, 0]
    expected = torch.tensor([0.0, float(even[7]), float(even[7] + even[8]) / 2, 1.0])
    assert (got - expected).abs().max() < 1e-4


def test_guided_base_keeps_flat_fields_and_smooths_noise() -> None:
    flat = torch.full((1, 3, 24, 24), 0.3)
    assert (guided_base(flat) - 0.3).abs().max() < 1e-6
    noise = 0.5 + 0.02 * torch.randn(1, 3, 48, 48)
    assert guided_base(noise).std() < 0.3 * noise.std()


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ArgumentError, match="mresnet"):
        build_variant("m8")


def test_variants_other_than_dslnet_share_one_interface() -> None:
    for name in TRAINABLE:
        assert isinstance(build_variant(name, SMALL), WindowNetwork)
