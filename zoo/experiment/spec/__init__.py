"""A spec: one file that says what to fit, on what, and how to compare it.

>>> from zoo.experiment.spec import read
>>> spec = read({"data": {"sklearn": "load_wine"}, "models": ["SVC", "BoostingClassifier"]})
>>> [candidate.name for candidate in spec.candidates(spec.load_data())]
['SVC', 'BoostingClassifier']
"""

from zoo.experiment.spec.data import Data, read_rows
from zoo.experiment.spec.grammar import Spec
from zoo.experiment.spec.objects import of
from zoo.experiment.spec.propose import propose
from zoo.experiment.spec.reading import dump, read
from zoo.experiment.spec.schema import schema
from zoo.experiment.spec.text import SpecError

__all__ = ["Data", "Spec", "SpecError", "dump", "of", "propose", "read", "read_rows", "schema"]
