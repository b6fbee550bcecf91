"""One chunk: frames out of the converted clip, through an encoder, into a file."""
