"""NoProp in discrete time."""

from typing import Annotated, Any

from zoo.contract.params import Positive, Search
from zoo.engines.layerwise.estimator import DiscreteNoProp


class NoPropDTClassifier(DiscreteNoProp):
    r"""Classify by T blocks, each trained alone to denoise the label; no gradient crosses blocks.

    In training block t gets the row x and the embedding of its label under noise, and learns to tell
    the clean embedding. No block needs another one for that, neither its output nor its gradient.
    In prediction the state starts as noise and passes through the blocks in turn.

    .. math::
        \mathcal L &= -\log p_\mathrm{out}(y|z_T) + \mathrm{KL}(q(z_0|y) \| \mathcal N(0, I))
        + \frac \eta 2 \sum_{t=1}^T (\mathrm{SNR}_t - \mathrm{SNR}_{t-1})
        \, |\hat u_t(z_{t-1}, x) - u_y|^2, \\
        z_t &= a_t \hat u_t(z_{t-1}, x) + b_t z_{t-1} + \sqrt{c_t}\,\epsilon, \qquad
        q(z_t|y) = \mathcal N(\sqrt{\bar\alpha_t}\, u_y, (1 - \bar\alpha_t) I)

    Parameters
    ----------
    eta : float, default=0.1
        Weight of the blocks' errors.

    Attributes
    ----------
    embedding_ : array of shape (n_classes, d)
        Label embeddings at the start of the training.

    Notes
    -----
    Back-propagation happens inside a block and never across blocks. Block 1 alone is an ordinary
    classifier of x, since its state is pure noise; ``block_accuracies`` tells how good it is, and what
    the chain adds. ``training="backprop"`` is the baseline on the same blocks.

    t = 0 is noise and t = T is clean, as in the paper. Notes that pair a schedule from clean to noise
    with an inference from noise to clean get negative weights and show the label to block 1.
    Here :math:`\bar\alpha_0 = 0`, so that the first state holds nothing of the label, and the cosine is
    scaled to end at ``max_snr``, as it would otherwise end at infinity. With fixed embeddings it is the
    same for the blocks whether all of them or one after the other see a batch; an epoch is one pass of
    the data through all. The guess is :math:`\hat u = \mathrm{softmax}(\text{logits})\,W`.

    What the blocks share is the head, embeddings with ``embedding="learned"`` or "prototype", and the
    schedule with ``noise_schedule="learned"``: each block's loss moves these too, and the derivative of
    one block's loss by another block's parameters remains exactly zero. In discrete time the bound
    depends on where the steps are, so there is something to learn; its ends are fixed.

    One step of T blocks of width w costs :math:`O(T n w (w + d))`. Do not use it where a network fits
    into memory and back-propagation does as well: it saves memory, not work.

    References
    ----------
    Li, Teh and Pascanu (2025), NoProp: training neural networks without back-propagation or
    forward-propagation, arXiv:2503.24322.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import NoPropDTClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = NoPropDTClassifier(n_blocks=3, max_epochs=20, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    eta: Annotated[Positive, Search(0.01, 10.0, log=True)] = 0.1

    def _parametrization(self) -> str:
        return "softmax"

    def _weighting(self) -> dict[str, Any]:
        return {"eta": float(self.eta)}
