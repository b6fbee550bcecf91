"""The fast depthwise backward is the plain one, only faster."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.loop.fast_depthwise import depthwise_conv, use_fast_depthwise


@pytest.mark.parametrize(
    ("kernel", "height", "width"), [(17, 24, 28), (17, 31, 37), (5, 10, 11), (7, 9, 12), (3, 4, 4), (17, 5, 3)]
)
def test_gradients_equal_autograd(kernel: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(8, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(2, 8, height, width, dtype=torch.float64)
    plain = F.conv2d(x, weight, padding=kernel // 2, groups=8)
    expected = torch.autograd.grad(plain, (x, weight), upstream)
    fast = depthwise_conv(x, weight, None)
    got = torch.autograd.grad(fast, (x, weight), upstream)
    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(got[0], expected[0])
    # The fold sums in fp32.
    torch.testing.assert_close(got[1], expected[1], rtol=1e-5, atol=1e-5)


def test_a_network_keeps_its_parameters_and_its_result() -> None:
    torch.manual_seed(0)
    network = DSLNet(DSLNetConfig(features=8, kernel=5, dynamic_kernel=3))
    torch.nn.init.normal_(network.head.weight, std=0.1)
    window = torch.rand(1, 5, 3, 20, 24)
    expected, names = network(window), list(network.state_dict())
    use_fast_depthwise(network)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(window), expected)


@pytest.mark.parametrize(("channels", "dtype"), [(8, torch.float32), (16, torch.float32), (24, torch.bfloat16)])
def test_few_channels_stay_out_of_bf16(channels: int, dtype: torch.dtype) -> None:
    x = torch.rand(1, channels, 9, 9, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert depthwise_conv(x, torch.rand(channels, 1, 5, 5), torch.zeros(channels)).dtype == dtype
