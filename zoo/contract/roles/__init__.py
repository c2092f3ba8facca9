"""Roles: what a method gives back. A card names them in this order."""

from zoo.contract.roles.classifier import Classifier  # isort: skip
from zoo.contract.roles.regressor import Regressor  # isort: skip
from zoo.contract.roles.transformer import Transformer  # isort: skip
from zoo.contract.roles.sampler import Sampler  # isort: skip
from zoo.contract.roles.detector import Detector  # isort: skip
from zoo.contract.roles.text_to_text import TextToText  # isort: skip
from zoo.contract.roles.forecasts import Forecasts  # isort: skip
from zoo.contract.roles.agent import Agent  # isort: skip

__all__ = [
    "Agent", "Classifier", "Detector", "Forecasts", "Regressor", "Sampler", "TextToText", "Transformer",
]  # fmt: skip
