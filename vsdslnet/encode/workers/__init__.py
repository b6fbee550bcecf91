"""Who makes the chunks: processes on this machine, or a Ray cluster."""
