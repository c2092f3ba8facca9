"""What the neural methods on text share: a tokeniser that is learned, kept and saved."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from zoo.contract.draws import Draws, as_seed
from zoo.contract.inputs import Input, Text
from zoo.contract.params import Check, Count, Fixed, NonNegative, OpenFraction, Search, accepts
from zoo.contract.roles import Sampler, Transformer
from zoo.contract.steps import Steps
from zoo.engines.language import tokens as _tokens
from zoo.engines.language import windows
from zoo.engines.neural.estimator import Neural

TextSchedule = Literal[
    "warm_up_cosine", "step", "plateau", "exponential", "cosine", "warm_restarts", "noam"
]


class Tokenized(Neural, abstract=True):
    """A network that reads tokens.

    Parameters
    ----------
    tokenizer : {"char", "bpe"}, default="char"
        What a token is: a character, or a frequent sequence of bytes (needs the ``tokenizers``
        package).
    vocab_size : int or None, default=None
        How many tokens there may be. None keeps every character that occurs, or makes 1024 byte
        pairs.

    Attributes
    ----------
    tokenizer_ : object
        Has ``encode(text)``, ``decode(tokens)`` and a length. Learned at the first fit only.
    """

    input: ClassVar[Input] = Text()

    tokenizer: Annotated[
        Literal["char", "bpe"], Fixed("likelihoods of different tokens do not compare")
    ] = "char"
    vocab_size: Annotated[Count | None, Fixed("likelihoods of different tokens do not compare")] = (
        None
    )

    def _measure(self, X: list[str], y: Any, w: Any) -> None:
        super()._measure(X, y, w)
        self.tokenizer_ = _tokens.KINDS[self.tokenizer].learn(X, self.vocab_size)

    def __zoo_state__(self) -> dict[str, Any]:
        """Return the state of the network, the tokeniser as plain values."""
        state = super().__zoo_state__()
        if "tokenizer_" in state:
            state["tokenizer_"] = self.tokenizer_.state()
        return state

    def __zoo_restore__(self, state: dict[str, Any]) -> None:
        """Rebuild tokeniser and network."""
        if "tokenizer_" in state:
            state["tokenizer_"] = _tokens.from_state(state["tokenizer_"])
        super().__zoo_restore__(state)


class LanguageModel(Sampler, Transformer, Tokenized, abstract=True):
    """A network that predicts each token of a text from those before it.

    Parameters
    ----------
    block_size : int, default=64
        T, the most tokens that are seen at once.
    width : int, default=128
        Width of the stream; a multiple of ``n_heads``.
    windows_per_epoch : int or None, default=None
        Windows of ``block_size`` tokens that make an epoch; None takes so many that they cover the
        text once. Training takes ``max_epochs * ceil(windows_per_epoch / batch_size)`` steps.
    max_new_tokens : int, default=256
        Where ``sample`` and ``generate`` stop if the text has not ended.
    beta_2 : float, default=0.99
        Decay of the second moment, for "adam", "adamw" and "radam".
    schedule : str, pair (str, dict of options) or None, default="warm_up_cosine"
        How the learning rate changes; "warm_up_cosine" rises for a tenth of the planned steps and
        falls to a tenth of ``lr``, which it keeps when training goes on.
    early_stopping : bool, default=False
        Set ``validation_fraction`` of the documents aside (of every document its last part, where
        there are too few), stop when their loss no longer falls, and keep the best weights.


    Attributes
    ----------
    likelihood_ : str
        "exact".
    n_features_out_ : int
        Width of the states.
    """

    block_size: Annotated[Count, Search(32, 512, log=True)] = 64
    width: Annotated[Count, Fixed("a multiple of n_heads; search a list")] = 128
    windows_per_epoch: Annotated[Count | None, Fixed("it belongs to the budget")] = None
    max_new_tokens: Annotated[Count, Fixed("it is no property of the model")] = 256
    beta_2: Annotated[OpenFraction, Search(0.9, 0.999)] = 0.99
    schedule: Annotated[
        TextSchedule | tuple[TextSchedule, dict[str, float]] | None,
        Fixed("it belongs to the budget"),
    ] = "warm_up_cosine"  # type: ignore[assignment]

    max_epochs = 20
    batch_size = 12
    optimizer = "adamw"
    weight_decay = 0.1
    gradient_clip = 1.0

    # -- learning ---------------------------------------------------------------------------------

    def _learn(self, X: Any, val: Any, resume: bool, steps: Steps) -> None:
        if val is not None:
            val = (_Held(val[0]), None, None)
        super()._learn(X, None, None, val, resume, steps)

    def _measure(self, X: list[str], y: Any, w: Any) -> None:
        super()._measure(X, y, w)
        self.likelihood_ = "exact"
        self.n_features_out_ = int(self.width)

    def _set_aside(self, X: Any, y: Any, w: Any) -> tuple[Any, Any, Any, Any]:
        if len(X) * self.validation_fraction >= 1:
            X, _, _, (held, _, _) = super()._set_aside(X, y, w)
        else:
            cuts = [round(len(x) * (1 - self.validation_fraction)) for x in X]
            held = [x[cut:] for x, cut in zip(X, cuts, strict=True)]
            X = [x[:cut] for x, cut in zip(X, cuts, strict=True)]
        return X, None, None, (_Held(held), None, None)

    def _build_net(self, device: str) -> Any:
        net = super()._build_net(device)
        if self.schedule == "warm_up_cosine":
            net.set_params(schedule=("warm_up_cosine", {"floor": 0.1}))
        if self.optimizer in ("adam", "adamw", "radam"):
            net.set_params(optimizer__betas=(0.9, self.beta_2))
        return net

    def _prepare(self, X: Any) -> Any:
        stream, T = windows.stream_of(self.tokenizer_, X), self.spec_["block_size"]
        if isinstance(X, _Held):
            return windows.blocks_of_stream(stream, T)[0]
        return windows.rows_of_stream(stream, T, self.windows_per_epoch or -(-len(stream) // T))

    def _targets(self, X: Any, y: Any) -> Any:
        if not isinstance(X, _Held):
            return None  # the crop makes them
        stream = windows.stream_of(self.tokenizer_, X)
        return windows.blocks_of_stream(stream, self.spec_["block_size"])[1]

    def _threads(self, n_rows: int | None = None, length: int | None = None) -> Any:
        from zoo.engines.neural import threads

        row = threads.Row((length or self.spec_["block_size"],), tokens=True)
        module = self.net_.module_
        device = next(module.parameters()).device
        return threads.for_work([module], row, n_rows or self.batch_size, device)

    # -- reading ----------------------------------------------------------------------------------

    def _decoder(self) -> Any:
        module = self.net_.module_
        return module.eval() if module.training else module

    def _tokens(self, X: list[str]) -> list[np.ndarray]:
        """Return each document with an end token before and behind it."""
        return [
            np.concatenate([[_tokens.END], self.tokenizer_.encode(x), [_tokens.END]]) for x in X
        ]

    def _log_likelihood(self, X: list[str]) -> np.ndarray:
        from zoo.engines.language import decoding

        documents, decoder = self._tokens(X), self._decoder()
        total = np.zeros(len(X))
        with self._threads():
            for d, _, nats in decoding.read(decoder, documents, decoding.surprise(decoder)):
                total[d] -= nats.sum(dtype=np.float64)
        if _tokens.UNKNOWN in self.tokenizer_.hidden:
            unknown = np.array(
                [np.count_nonzero(tokens == _tokens.UNKNOWN) for tokens in documents]
            )
            total -= unknown * self.tokenizer_.log_spread()
        return total

    def _output(self, X: list[str]) -> np.ndarray:
        from zoo.engines.language import decoding

        documents = self._tokens(X)
        total = np.zeros((len(X), self.n_features_out_))
        with self._threads():
            for d, _, states in decoding.read(self._decoder(), documents, lambda h, y: h):
                total[d] += states.sum(axis=0, dtype=np.float64)
        count = np.array([len(tokens) - 1 for tokens in documents])
        return (total / count[:, None]).astype(self.dtype_)

    def bits_per_byte(self, X: Any) -> float:
        """Return the bits that the documents need, over their bytes in UTF-8 (lower is better).

        This compares models whatever their tokens are.
        """
        X = self._checked(X)
        n = sum(len(x.encode("utf-8", "surrogatepass")) for x in X)
        if n == 0:
            raise ValueError(
                "bits_per_byte has no bytes to divide by: every document of X is empty."
            )
        return -float(self._log_likelihood(X).sum()) / (n * np.log(2))

    def perplexity(self, X: Any) -> float:
        """Return exp of the mean surprise at a token, the ends of documents included."""
        X = self._checked(X)
        n = sum(len(tokens) - 1 for tokens in self._tokens(X))
        return float(np.exp(-self._log_likelihood(X).sum() / n))

    # -- writing ----------------------------------------------------------------------------------

    def generate(
        self,
        prompts: str | Sequence[str] = "",
        max_new_tokens: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
        *,
        cache: bool = True,
    ) -> Any:
        """Go on writing.

        Parameters
        ----------
        prompts : str or list of str, default=""
            Beginnings; "" begins a document.
        max_new_tokens : int or None, default=None
            Most tokens to add; None takes the parameter of that name. A document may end before.
        temperature : float, default=1.0
            Below 1 likely tokens become more likely; 0 always takes the most likely one.
        top_k : int or None, default=None
            Choose among the k most likely tokens only.
        top_p : float, default=1.0
            Choose among the fewest tokens that have this probability together.
        random_state : int, RandomState or None, default=None
            None draws fresh numbers, an int repeats them. A prompt's text depends neither on the
            prompts behind it nor on ``max_new_tokens``, but for where it stops.
        cache : bool, default=True
            Keep keys and values of earlier tokens. Without, the same text takes longer.

        Returns
        -------
        text : str or list of str
            The prompt and what follows, one for each prompt.
        """
        check_is_fitted(self)
        one = isinstance(prompts, str)
        texts = self._checked([prompts] if one else prompts)
        n = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        for name, value, domain, words in (
            ("max_new_tokens", n, Count, "an integer >= 1"),
            ("temperature", temperature, NonNegative, "a number >= 0"),
            ("top_k", top_k, Count | None, "an integer >= 1 or None"),
            ("top_p", top_p, Annotated[float, Check(lambda p: 0 < p <= 1, "")], "in (0, 1]"),
        ):
            if not accepts(domain, value):
                raise ValueError(f"{name}={value!r} is not accepted; it must be {words}.")
        draws = Draws(as_seed(random_state))
        written = self._write(texts, n, draws, temperature, top_k, top_p, cache)
        out = [text + more for text, more in zip(texts, written, strict=True)]
        return out[0] if one else out

    def _write(
        self, texts: list[str], n: int, draws: Draws, temperature: float, top_k: int | None,
        top_p: float, cache: bool,
    ) -> list[str]:  # fmt: skip
        from zoo.engines.language import decoding

        prompts = [tokens[:-1] for tokens in self._tokens(texts)]
        with self._threads(len(texts), length=1):
            written = decoding.write(
                self._decoder(), prompts, n, lambda: draws.uniform(len(texts)),
                temperature=float(temperature), top_k=top_k, top_p=float(top_p),
                hidden=self.tokenizer_.hidden, cached=cache,
            )  # fmt: skip
        return [self.tokenizer_.decode(tokens) for tokens in written]

    def _draw(self, n: int, y: Any, draws: Draws) -> list[str]:
        return self._write([""] * n, self.max_new_tokens, draws, 1.0, None, 1.0, True)


class _Held(list):
    """Documents that are watched, not learned."""
