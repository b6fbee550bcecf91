"""The training loop, what it minimises and what it tells on its way."""
