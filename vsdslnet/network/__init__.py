"""DSLNet by its paper's names (Xu et al., "SDRTV-to-HDRTV Conversion via Spatial-Temporal Feature Fusion").

Pure torch: no files, no video, no training. :mod:`~vsdslnet.network.dmfa`, :mod:`~vsdslnet.network.stfm`
and :mod:`~vsdslnet.network.lkqe` are the three modules of the paper's figure 4,
:mod:`~vsdslnet.network.dslnet` puts them together.
"""
