"""A file in, an HDR10 file out: probe, plan, journal, chunks on one machine or many, mux."""
