"""The colour model around the network: code points, curves, matrices, the analytic base.

Everything but :mod:`vsdslnet.color.h273` works on torch tensors of any float dtype with the
channels in dimension -3 (``(..., 3, H, W)``) and is differentiable. Names follow ITU-T H.273 and
the ITU-R recommendations they come from.
"""
