"""Chooses and builds the engine that settings ask for."""

from __future__ import annotations

from vsdslnet import weights
from vsdslnet.inference.engine import Engine
from vsdslnet.inference.settings import EngineSettings
from vsdslnet.inference.torch_engine import TorchEngine

__all__ = ["create_engine"]


def create_engine(settings: EngineSettings) -> Engine:
    """Load the model and build its engine; WeightsError or EngineError if that can't be done."""
    network = weights.load_network(weights.read(weights.find(settings.model)))
    return TorchEngine(network)
