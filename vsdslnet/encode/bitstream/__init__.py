"""Just enough of each codec's bit stream to join, order and label chunks."""
