"""A file in, an HDR10 file out: what the source is, a job, its chunks on one machine or many, the container."""
