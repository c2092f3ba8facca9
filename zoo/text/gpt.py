"""GPT, the language model of the transformer family."""

from typing import Annotated, Any, Literal

from zoo.contract.params import Count, Fixed, NonNegative, Probability, Search
from zoo.engines.language.estimator import LanguageModel
from zoo.engines.modules.perceptron import Activation


class GPT(LanguageModel):
    r"""Model text by a causal transformer that predicts each token from those before it.

    Tokens become vectors in a stream; every block adds what attention finds in the context, then
    what its feed-forward part knows by heart. The model writes (``generate``, ``sample``), says how
    likely a text is (``score_samples``, ``bits_per_byte``) and gives its states (``transform``).

    .. math::
        \log p(x) = \sum_{t=1}^{n+1} \log p(x_t \mid x_{<t}), \qquad
        p(\cdot \mid x_{<t}) = \mathrm{softmax}(W h^{(L)}_{t-1})

    .. math::
        h' = h^{(l)} + \mathrm{Attention}(\mathrm{norm}(h^{(l)})), \qquad
        h^{(l+1)} = h' + \mathrm{FFN}(\mathrm{norm}(h'))

    Parameters
    ----------
    n_layers, n_heads : int, default=4
        Blocks, and heads of attention in each.
    norm : {"rms", "layer"}, default="layer"
        Normalisation of the stream before each part of a block.
    positions : {"rotary", "learned", "sinusoidal"}, default="rotary"
        How the network knows the order of the tokens.
    activation : str, default="gelu"
        Of the feed-forward part, which is four times as wide as the stream.
    dropout : float, default=0.0
        Chance that a weight of attention, or a number that is added to the stream, is silenced.
    tie_weights : bool, default=True
        One matrix turns tokens into vectors and vectors into logits.
    n_experts : int, default=1
        More than one makes every feed-forward part a mixture of so many experts.
    top_k_experts : int, default=2
        Experts that a router picks for each token.
    load_balance : float, default=0.01
        Weight of the loss that keeps the experts equally busy.

    Attributes
    ----------
    spec_ : dict
        Arguments of the network as fitted.

    Notes
    -----
    A document is ``end x_1 ... x_n end``: the end token begins it, and its likelihood includes that
    it ends, so that the probabilities of all documents sum to one and "" has one too. For training
    the documents stand one after another in a stream from which random windows are cut, spread
    evenly over the text. Where a window holds several documents, attention and positions keep them
    apart, so that packing changes no answer; a document shorter than a window is never entered in
    its middle.

    A text longer than T is read with a context that moves on by half a window whenever it is full:
    between T/2 and T tokens are in view. ``generate`` does the same, so what is written and what is
    scored is one model. A cache keeps keys and values of earlier tokens while the context stands.

    A character that was not seen at the first fit becomes an unknown token; its probability is
    shared evenly by all characters of Unicode that are not known, and it is never written. Byte
    pairs know every text; their likelihood is that of the text's one canonical segmentation.

    The network has :math:`V d + 12 L d^2 + (2 L + 1) d` parameters, plus :math:`T d` for learned
    positions and :math:`V d` without tied weights. A training step costs six operations a
    parameter and token. It wants some 100,000 characters to know more than counts of n-grams do.

    ``validation_fraction`` works inside searches, where ``X_val`` would be cut with X. ``y`` and
    weights of documents play no role.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, NeurIPS. Radford et al. (2019), Language
    models are unsupervised multitask learners. Su et al. (2024), RoFormer, Neurocomputing 568.
    Fedus, Zoph and Shazeer (2022), Switch transformers, JMLR 23. Karpathy, nanoGPT.

    Examples
    --------
    >>> from zoo import GPT
    >>> model = GPT(block_size=8, n_layers=1, n_heads=2, width=16, max_epochs=200, random_state=0)
    >>> model = model.fit(["abcabc", "bcabca", "cabcab"] * 4)
    >>> model.generate("ab", max_new_tokens=4, temperature=0)
    'abcabc'
    """

    n_layers: Annotated[Count, Search(1, 8)] = 4
    n_heads: Annotated[Count, Fixed("a divisor of the width; search a list")] = 4
    norm: Literal["rms", "layer"] = "layer"
    positions: Literal["rotary", "learned", "sinusoidal"] = "rotary"
    activation: Activation = "gelu"
    dropout: Probability = 0.0
    tie_weights: bool = True
    n_experts: Annotated[Count, Search(1, 8, log=True)] = 1
    top_k_experts: Annotated[Count, Fixed("two serve nearly always")] = 2
    load_balance: Annotated[NonNegative, Search(1e-4, 1e-1, log=True)] = 0.01

    def _spec(self, X: Any, y: Any) -> dict[str, Any]:
        if self.width % self.n_heads:
            raise ValueError(
                f"GPT: width={self.width} is no multiple of n_heads={self.n_heads}; the heads "
                "share the width evenly: change one of the two."
            )
        if self.positions == "rotary" and self.width // self.n_heads % 2:
            raise ValueError(
                f"GPT: positions='rotary' turns pairs of columns, but a head is "
                f"{self.width // self.n_heads} wide; make width / n_heads even, or take learned "
                "positions."
            )
        if self.n_experts > 1 and self.top_k_experts > self.n_experts:
            raise ValueError(
                f"GPT: top_k_experts={self.top_k_experts} of n_experts={self.n_experts} cannot be "
                "picked; take top_k_experts <= n_experts."
            )
        return {
            "n_tokens": len(self.tokenizer_),
            "block_size": int(self.block_size),
            "n_layers": int(self.n_layers),
            "n_heads": int(self.n_heads),
            "width": int(self.width),
            "norm": self.norm,
            "positions": self.positions,
            "activation": self.activation,
            "dropout": float(self.dropout),
            "tie_weights": bool(self.tie_weights),
            "n_experts": int(self.n_experts),
            "top_k": int(self.top_k_experts),
        }

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.language.decoder import Decoder

        return Decoder(**spec)

    def _criterion(self) -> Any:
        from zoo.engines.language.decoder import NextToken

        return NextToken(float(self.load_balance))

    def _augment(self) -> Any:
        from zoo.engines.language.decoder import Crop

        return Crop(self.spec_["block_size"])
