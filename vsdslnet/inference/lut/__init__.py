"""DSLNet's colours as a 3D LUT, learnt from a small version of a frame."""
