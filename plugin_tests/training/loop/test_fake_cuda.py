"""The training step on a device that is not here: PyTorch's fake tensors find any that was left on the processor."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from vsdslnet.color.bases import base_pq
from vsdslnet.color.ictcp import nits_to_ictcp
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.config.run import LossConfig
from vsdslnet.training.dataset.batches import Batch
from vsdslnet.training.loop.objective import Objective

SMALL = DSLNetConfig(features=8, kernel=5, dynamic_kernel=3)
CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_every_term_of_the_loss_lies_on_the_device(precision: torch.dtype) -> None:
    # Numbers of the processor's, found once.
    nits_to_ictcp(base_pq(torch.zeros(3, 1, 1), SMALL.base))
    losses = LossConfig(guard_every=1)
    count, side = 2, 16
    with FakeTensorMode():
        with CUDA:  # moved there afterwards, a module could not exchange its fake parameters
            network = DSLNet(SMALL)
        objective = Objective(network, losses, None)
        shape = (count, SMALL.frames, 3)
        batch = Batch(
            torch.rand(*shape, side, side),
            torch.rand(*shape, 18, 32),
            [(0.1, 0.1, 0.6, 0.6)] * count,
            torch.rand(count, 3, side, side),
            torch.rand(count, 3, side, side),
            torch.zeros(count, SMALL.frames, 2, side, side),
        ).to(CUDA)
        with torch.autocast("cuda", dtype=precision, enabled=precision != torch.float32):
            terms = objective(batch, 7)
        assert {term.device for term in terms.values()} == {CUDA}
        assert terms["loss"].requires_grad  # gradients themselves need a real device's context
