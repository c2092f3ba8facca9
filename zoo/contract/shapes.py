"""Names for what users may give to a public method; inputs and targets check it at the door."""

from typing import Any

from numpy.typing import ArrayLike

# Whatever the input of the method takes: an array, a table, a sparse matrix, documents, a mapping of parts.
RowsLike = Any
# Labels, numbers or documents, one for each row: an array, a list, a Series, or columns of them.
TargetsLike = ArrayLike
# One number >= 0 for each row.
WeightsLike = ArrayLike
