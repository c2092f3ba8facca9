"""A pytest plugin that puts the Trainer in the place of skorch's net, for skorch's own tests.

``-p skorch_with_trainer`` sets ``skorch.NeuralNet`` before the tests are imported, and reloads the
classifiers and the regressor, so that they derive from it. Nothing in the tests is changed. What the
adapter restores are skorch's defaults: plain gradient descent with a rate of 0.01, a fifth of the rows
for validation, a line an epoch, no shuffling, and noise from torch's global generator, which the
Trainer refuses by design.
"""

import functools
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import skorch
import skorch.net
import torch
from skorch.dataset import ValidSplit

from zoo.engines.neural.trainer import Trainer


class SkorchsDefaults(Trainer):
    # skorch makes the docstrings of its classifiers from this one.
    __doc__ = skorch.NeuralNet.__doc__

    def __init__(
        self,
        module: Any,
        criterion: Any,
        optimizer: Any = torch.optim.SGD,
        lr: float = 0.01,
        train_split: Any = ValidSplit(5),  # noqa: B008
        verbose: int = 1,
        iterator_train__shuffle: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion,
            optimizer=optimizer,
            lr=lr,
            train_split=train_split,
            verbose=verbose,
            iterator_train__shuffle=iterator_train__shuffle,
            **kwargs,
        )

    def _draws_unknown(self) -> bool:
        return False


def flaky(max_runs: int = 2, **_: Any) -> Callable[..., Any]:
    """Run a test again where it fails, as the package of that name does, which skorch asks for."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for left in reversed(range(max_runs)):
                try:
                    return test(*args, **kwargs)
                except AssertionError:
                    if not left:
                        raise
            return None

        return run

    return decorate


sys.modules["flaky"] = types.ModuleType("flaky")
sys.modules["flaky"].flaky = flaky  # type: ignore[attr-defined]

skorch.NeuralNet = skorch.net.NeuralNet = SkorchsDefaults
for room, kinds in (
    ("classifier", ("NeuralNetClassifier", "NeuralNetBinaryClassifier")),
    ("regressor", ("NeuralNetRegressor",)),
):
    module = importlib.reload(importlib.import_module(f"skorch.{room}"))
    for kind in kinds:
        net = getattr(module, kind)
        assert SkorchsDefaults in net.__mro__
        setattr(skorch, kind, net)
