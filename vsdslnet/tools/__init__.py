"""Commands beside the encode: a preview page, a scene's LUT, the speed, a demonstration."""
