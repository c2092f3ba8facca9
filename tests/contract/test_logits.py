"""Softmax: equal to scipy's, margins are the scores (0, s) of two classes, no overflow."""

import numpy as np
from scipy.special import log_softmax as oracle

from zoo.contract.logits import log_softmax, softmax


def test_scores_become_probabilities():
    s = np.random.default_rng(0).normal(size=(5, 4)) * 10
    np.testing.assert_allclose(log_softmax(s), oracle(s, axis=1), rtol=1e-12)
    np.testing.assert_allclose(softmax(s).sum(axis=1), 1, rtol=1e-15)


def test_margins_are_scores_of_two_classes():
    s = np.array([-800.0, -1.0, 0.0, 1.0, 800.0])
    np.testing.assert_allclose(softmax(s), softmax(np.column_stack([np.zeros(5), s])), rtol=1e-12)
