"""Recipes (TOML) of the data sets behind shipped weights."""
