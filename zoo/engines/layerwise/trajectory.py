"""The way of a state through the blocks."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trajectory:
    """What happened to the rows on their way from noise to label.

    Attributes
    ----------
    t : array of shape (T + 1,)
        Times of the states, from 0 (noise) to 1.
    z : array of shape (T + 1, n, d)
        The states.
    proba : array of shape (T + 1, n, n_classes)
        Probability of each class given the state alone, by Bayes' rule from q(z_t|y).
    block_proba : array of shape (T, n, n_classes)
        Probability of each class as the block after each state gives it.
    """

    t: np.ndarray
    z: np.ndarray
    proba: np.ndarray
    block_proba: np.ndarray


def trajectory(estimator: Any, X: Any) -> Trajectory:
    """Follow the rows of X through a fitted NoProp classifier.

    Parameters
    ----------
    estimator : NoPropDTClassifier, NoPropHybridClassifier, NoPropCTClassifier or NoPropFMClassifier
        Fitted; its present ``sampler`` is followed for one run.
    X : array-like
        Rows.
    """
    from zoo.contract.logits import softmax

    if not hasattr(estimator, "_trace"):
        raise TypeError(
            f"{type(estimator).__name__} has no path from noise to label; give one of the NoProp "
            "classifiers."
        )
    z, logits, own = (np.moveaxis(part, 1, 0) for part in estimator._trace(estimator._checked(X)))
    return Trajectory(np.linspace(0, 1, len(z)), z, softmax(logits), softmax(own))
