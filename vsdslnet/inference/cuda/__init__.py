"""DSLNet on a CUDA device: whole frames, half precision, uploads and downloads beside the computing."""
