"""The baselines of the paper's table 1, from their own papers' descriptions, behind one interface.

Each is a :class:`~vsdslnet.network.window.WindowNetwork`: it takes the window's centre frame, and what
it asks of the whole picture (a global condition) it gets from the whole frame even where a crop is
rendered. All are built at the size their papers give; the parameter counts meet table 1.
"""

from vsdslnet.training.paper.baselines.csrnet import CSRNet
from vsdslnet.training.paper.baselines.hdrtvnet import HDRTVNet
from vsdslnet.training.paper.baselines.lut3d import AdaInt, AdaptiveLut3D
from vsdslnet.training.paper.baselines.resnet import MultiFrameResNet, ResNet
from vsdslnet.training.paper.baselines.sr_itm import DeepSRITM

__all__ = ["AdaInt", "AdaptiveLut3D", "CSRNet", "DeepSRITM", "HDRTVNet", "MultiFrameResNet", "ResNet"]
