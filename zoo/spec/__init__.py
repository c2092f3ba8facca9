"""A spec: one file that says what to fit, on what, and how to compare it.

>>> from zoo.spec import read
>>> spec = read({"data": {"sklearn": "load_wine"}, "models": ["SVC", "BoostingClassifier"]})
>>> [candidate.name for candidate in spec.candidates(spec.load_data())]
['SVC', 'BoostingClassifier']
"""

from zoo.spec.data import Data, read_rows
from zoo.spec.grammar import Spec
from zoo.spec.objects import of
from zoo.spec.propose import propose
from zoo.spec.reading import dump, read
from zoo.spec.schema import schema
from zoo.spec.text import SpecError

__all__ = ["Data", "Spec", "SpecError", "dump", "of", "propose", "read", "read_rows", "schema"]
