"""Everything needed to reproduce the weights: data, simulated grades, losses, loops, metrics.

The runtime (:mod:`vsdslnet.inference`, :mod:`vsdslnet.plugin`) never imports this package.
"""
