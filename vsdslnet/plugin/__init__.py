"""``core.dslnet``: the only rooms of this package that know VapourSynth."""
