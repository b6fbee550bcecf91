"""What a job is made of, what of it is done, and where that lies on disk."""
