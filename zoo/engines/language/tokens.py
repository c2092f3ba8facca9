"""Tokenisers: text to numbers and back. Number 0 is the end of a document, and its beginning.

A tokeniser is made by ``learn`` and is kept as plain values (``state`` and ``from_state``).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

END, UNKNOWN = 0, 1
CODE_POINTS = 0x110000


class Characters:
    """One token a character. A character that was not learned is token 1, the unknown one.

    Parameters
    ----------
    characters : str
        What is known, in the order of the code points.
    """

    hidden = (UNKNOWN,)  # never written by a model

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._codes = _code_points(characters)

    @classmethod
    def learn(cls, documents: Iterable[str], size: int | None) -> "Characters":
        """Keep every character, or the ``size`` - 2 most frequent ones."""
        count: Counter[str] = Counter()
        for document in documents:
            count.update(document)
        if size is not None and size < 3:
            raise ValueError(
                f"vocab_size={size} leaves no room for a character beside the end of a document "
                "and the unknown character; give at least 3, or None."
            )
        ranked = sorted(count, key=lambda c: (-count[c], c))
        return cls("".join(sorted(ranked[: None if size is None else size - 2])))

    def __len__(self) -> int:
        """Count the tokens, the end and the unknown one included."""
        return 2 + len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text."""
        codes = _code_points(text)
        if len(self._codes) == 0:
            return np.full(len(codes), UNKNOWN, dtype=np.int32)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[place] == codes, place + 2, UNKNOWN).astype(np.int32)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; an unknown one is U+FFFD."""
        return "".join(self.characters[t - 2] if t > UNKNOWN else "\ufffd" for t in tokens)

    def log_spread(self) -> float:
        """Return the log of how many characters share the unknown token."""
        return float(np.log(CODE_POINTS - len(self.characters)))

    def state(self) -> dict[str, Any]:
        """Return plain values that make an equal tokeniser."""
        return {"kind": "char", "characters": self.characters}


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


class BytePairs:
    """Frequent byte sequences as tokens (the ``tokenizers`` package); every text can be written.

    Parameters
    ----------
    json : str
        The tokeniser as its package writes it.

    References
    ----------
    Sennrich, Haddow, Birch: Neural Machine Translation of Rare Words with Subword Units. ACL 2016.
    """

    hidden = ()

    def __init__(self, json: str) -> None:
        self.json = json
        self._tokenizer = _package().Tokenizer.from_str(json)

    @classmethod
    def learn(cls, documents: Iterable[str], size: int | None) -> "BytePairs":
        """Merge the most frequent pair until there are ``size`` tokens (None: 1024)."""
        package = _package()
        size = 1024 if size is None else size
        if size < 257:
            raise ValueError(
                f"vocab_size={size} is too small for byte pairs: 256 bytes and the end of a "
                "document come first; give at least 257, or tokenizer='char'."
            )
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size - 1,
            initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(map(_valid, documents), trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        """Count the tokens, the end included."""
        return 1 + int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text."""
        return 1 + np.array(self._tokenizer.encode(_valid(text)).ids, dtype=np.int32)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; bytes that are no UTF-8 are U+FFFD."""
        return str(self._tokenizer.decode([int(t) - 1 for t in tokens]))

    def log_spread(self) -> float:
        """There is no unknown token."""
        return 0.0

    def state(self) -> dict[str, Any]:
        """Return plain values that make an equal tokeniser."""
        return {"kind": "bpe", "json": self.json}

    def __getstate__(self) -> dict[str, Any]:
        return {"json": self.json}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["json"])  # type: ignore[misc]


def _valid(text: str) -> str:
    """Replace halves of surrogate pairs, which UTF-8 cannot write."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _package() -> Any:
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as missing:
        raise ImportError(
            "tokenizer='bpe' needs the package tokenizers, which is not installed; install "
            "'sklearn-zoo[text]', or use tokenizer='char'."
        ) from missing
    return tokenizers


KINDS: dict[str, Any] = {"char": Characters, "bpe": BytePairs}


def from_state(state: dict[str, Any]) -> Any:
    """Make the tokeniser of a ``state``."""
    given = dict(state)
    return KINDS[given.pop("kind")](**given)
