"""Gives back a text for a text."""

from typing import Any, ClassVar

from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Input, Text
from zoo.contract.targets import Documents, Target


class TextToText(Estimator, abstract=True, role="TextToText"):
    """Gives back a text for a text. A leaf writes ``_output``, which sees and gives lists of str."""

    input: ClassVar[Input] = Text()
    target: ClassVar[Target] = Documents()

    def predict(self, X: Any) -> list[str]:
        """Return the answer to each document."""
        texts: list[str] = self._output(self._checked(X))
        return texts
