"""What the tests of the siblings share."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X.astype(np.float32), y, test_size=0.4, random_state=0, stratify=y)


@pytest.fixture
def batch():
    """Return a function: the network of a small fitted model, and a weighted batch for it."""

    def batch(cls, **options):
        import torch

        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((30, 5)), rng.integers(3, size=30)
        model = cls(hidden_layer_sizes=(6, 7), max_epochs=2, random_state=0, **options).fit(X, y)
        module = model.net_.module_.train()
        module.zero_grad()
        w = torch.as_tensor(rng.uniform(size=30))
        return module, torch.as_tensor(X)[:, None, None], torch.as_tensor(y), w / w.sum()

    return batch
