"""
A model that writes: predicting the next character
==================================================

A language model gives every text a probability, one character after the other. Whoever predicts
well can write: draw the next character, add it, go on. This lesson trains a small transformer,
compares it with counting, and lets it write at several temperatures.

The text is a few lines that stand below; with the folder of real data named by the variable
``ZOO_DATA`` the same steps run on all of tiny Shakespeare (some minutes on one core).
"""

# %%
# A text, and what counting knows about it
# ----------------------------------------
# The last tenth is held out. How often each character follows another is a model too; what it
# needs in bits for a character of the held-out part is the figure to beat.
import gzip
import os
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from zoo import GPT

SONNET = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date:
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade
Nor lose possession of that fair thou owest;
Nor shall Death brag thou wander'st in his shade,
When in eternal lines to time thou growest:
So long as men can breathe or eyes can see,
So long lives this and this gives life to thee.
"""

path = Path(os.environ.get("ZOO_DATA", "no data")) / "text" / "tinyshakespeare.txt.gz"
real = path.is_file()
text = gzip.decompress(path.read_bytes()).decode() if real else SONNET
cut = int(0.9 * len(text))
train, held = text[:cut], text[cut:]


def bits_by_counting(order):
    """Bits a character on the held-out text, from counts of what follows ``order`` characters."""
    n_letters = len(set(text))
    pairs = Counter(train[i : i + order + 1] for i in range(len(train) - order))
    contexts = Counter(train[i : i + order] for i in range(len(train) - order))
    p = [
        (pairs[held[i - order : i + 1]] + 0.1) / (contexts[held[i - order : i]] + 0.1 * n_letters)
        for i in range(order, len(held))
    ]
    return -np.log2(p).mean()


counting = {order: bits_by_counting(order) for order in range(4)}
for order, bits in counting.items():
    print(f"counting what follows {order} characters: {bits:.2f} bits a character")

# %%
# A transformer
# -------------
# ``fit`` takes a list of documents; one long text is a list of one. Windows of ``block_size``
# characters are cut from it at random, ``windows_per_epoch`` of them to an epoch, and the
# validation data are watched after each.
size = (
    {"windows_per_epoch": 2400, "max_epochs": 10}
    if real
    else {"n_layers": 2, "width": 32, "block_size": 32, "windows_per_epoch": 120, "max_epochs": 8}
)
model = GPT(**size, lr=1e-3 if real else 5e-3, random_state=0)
model.fit([train], X_val=[held])
print(f"the transformer: {model.bits_per_byte([held]):.2f} bits a character")

# %%
# Writing
# -------
# A low temperature keeps to what is likely, a high one dares more. The same seed writes the same
# text; a cache of what was computed for earlier characters makes it fast.
for temperature in (0.5, 0.8, 1.1):
    print(f"--- temperature {temperature}")
    print(model.generate("\n", 200, temperature=temperature, random_state=0))

# %%
# Learning, and what the model takes for text
# -------------------------------------------
# Left, the loss beside what counting reaches. A few lines are too little for a network: counting
# pairs stays ahead there; on all of Shakespeare the transformer leaves every count behind, because
# it looks further back without needing to have seen the very same context. Right, the model is
# asked about the held-out text as it stands, and about the same characters in another order: the
# further from text, the more bits.
rng = np.random.default_rng(0)
sample = held[:2000]
words = sample.split(" ")
variants = {
    "as written": sample,
    "words shuffled": " ".join(rng.permutation(words)),
    "letters of words shuffled": " ".join("".join(rng.permutation(list(w))) for w in words),
    "backwards": sample[::-1],
}
bits = {name: model.bits_per_byte([variant]) for name, variant in variants.items()}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
epochs = np.arange(1, model.n_iter_ + 1)
for name, label in (("train_loss", "training"), ("valid_loss", "held out")):
    left.plot(epochs, model.history_[name] / np.log(2), marker="o", label=label)
for order, value in counting.items():
    left.axhline(value, color="grey", linewidth=0.8)
    left.annotate(f"counts after {order}", (epochs[-1], value), ha="right", va="bottom", fontsize=8)
left.set(xlabel="epoch", ylabel="bits a character", title="Prediction")
left.legend(loc="lower left")
right.barh(list(bits), list(bits.values()))
right.invert_yaxis()
right.set(xlabel="bits a character", title="How likely is the held-out text?")
plt.show()
