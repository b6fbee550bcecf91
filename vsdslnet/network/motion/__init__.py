"""Registration: each neighbour of a window is brought onto the centre frame before the network sees it."""
