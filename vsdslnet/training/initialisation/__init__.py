"""Weights to begin with, solved for from data."""
