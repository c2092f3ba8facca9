"""A network of two parts: a generative adversarial network for tables, complete."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.draws import Draws
from zoo.contract.params import Count, Positive, Search
from zoo.contract.roles import Sampler
from zoo.contract.targets import Nothing, Target
from zoo.engines.modules.scaling import location_scale
from zoo.engines.neural.estimator import Neural


class TinyGAN(Sampler, Neural):
    r"""Draw rows by a generator that learns to deceive a critic.

    .. math::
        \min_D \; \mathbb E\, \zeta(-D(x)) + \mathbb E\, \zeta(D(G(z))), \qquad
        \min_G \; \mathbb E\, \zeta(-D(G(z))), \qquad \zeta(t) = \log(1 + e^t)

    Samples come from a moving average of the generator.

    Parameters
    ----------
    n_components : int, default=4
        Length of the code z.
    width : int, default=32
        Units of the hidden layer of either network.
    critic_lr : float, default=0.004
        Learning rate of the critic; ``lr`` is that of the generator.
    """

    target: ClassVar[Target] = Nothing()
    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "training draws codes for every row",
        "check_weights_count_as_repetition": "training draws codes for every row",
    }

    n_components: Annotated[Count, Search(2, 64, log=True)] = 4
    width: Annotated[Count, Search(16, 256, log=True)] = 32
    critic_lr: Annotated[Positive, Search(1e-4, 1e-2, log=True)] = 4e-3

    n_iter_no_change = None  # the losses of two players do not fall

    def _measure(self, X: np.ndarray, y: Any, w: Any) -> None:
        super()._measure(X, y, w)
        self.x_mean_, self.x_scale_ = location_scale(X, w)
        self.likelihood_ = None

    def _prepare(self, X: np.ndarray) -> np.ndarray:
        return (X - self.x_mean_) / self.x_scale_

    def _targets(self, X: np.ndarray, y: Any) -> np.ndarray:
        return np.zeros(len(X), X.dtype)

    def _spec(self, X: np.ndarray, y: Any) -> dict[str, Any]:
        return {"code": int(self.n_components), "width": int(self.width), "d": X.shape[1]}

    @staticmethod
    def _module(code: int, width: int, d: int) -> Any:
        from torch import nn

        from zoo.engines.modules.perceptron import perceptron

        form: list[Any] = ["silu", 0.0, 0.0, None, "glorot_uniform"]
        return nn.ModuleDict(
            {"generator": perceptron([code, width, d], *form), "critic": perceptron([d, width, 1], *form)}
        )

    def _parts(self) -> dict[str, Any]:
        from zoo.engines.neural.parts import Part, Slow

        return {
            "critic": Part(lr=self.critic_lr, betas=(0.5, 0.99)),
            "generator": Part(lr=self.lr, betas=(0.5, 0.99), slow=Slow(keep=0.99)),
        }

    def _criterion(self) -> Any:
        from leaves.tiny_gan_losses import Adversaries

        return Adversaries(int(self.n_components))

    def _draw(self, n: int, numbers: Any, draws: Draws) -> np.ndarray:
        import torch

        generator = self.net_.parts_["generator"].slow
        with torch.inference_mode():
            z = torch.as_tensor(draws.normal(n, self.n_components).astype(self.dtype_))
            return generator(z).numpy() * self.x_scale_ + self.x_mean_
