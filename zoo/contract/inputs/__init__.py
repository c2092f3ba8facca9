"""Inputs: what a method eats, as a value on its class.

An input checks and normalises X, sets the scikit-learn tags and makes the toy data on which the
conformance suite fits. Rows of every normalised X are picked with `take` and counted with
`n_rows`, whatever the container: array, sparse matrix, list, table, or dict of these.
"""

from zoo.contract.inputs.either import Either
from zoo.contract.inputs.env import Env, Game
from zoo.contract.inputs.held import Held
from zoo.contract.inputs.images import Images, ImageShape
from zoo.contract.inputs.input import FLOATS, Input, floating_dtype, n_rows, take, to_dtype
from zoo.contract.inputs.joined import Joined
from zoo.contract.inputs.logged import Logged
from zoo.contract.inputs.pairs import Pairs
from zoo.contract.inputs.series import Series, ragged
from zoo.contract.inputs.table import Table, encode_categories
from zoo.contract.inputs.text import Text

__all__ = [
    "FLOATS", "Either", "Env", "Game", "Held", "ImageShape", "Images", "Input", "Joined", "Logged",
    "Pairs", "Series", "Table", "Text", "encode_categories", "floating_dtype", "n_rows", "ragged",
    "take", "to_dtype",
]  # fmt: skip
