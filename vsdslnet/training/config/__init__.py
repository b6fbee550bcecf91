"""The recipes of data sets and of training runs, read from TOML."""
