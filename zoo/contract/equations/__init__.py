r"""Equations: one reader of LaTeX, and two writers, for terminals and for web pages.

>>> from zoo.contract.equations import mathml, readable
>>> readable(r"\min_\beta \tfrac12 \sum_i (y_i - \langle x_i, \beta\rangle)^2 + \alpha |\beta|^2")
'minᵦ 1/2 ∑ᵢ (yᵢ - ⟨xᵢ, β⟩)² + α |β|²'
>>> mathml(r"\beta^2", block=False)
'<math><msup><mi>β</mi><mn>2</mn></msup></math>'
"""

from zoo.contract.equations.page import mathml, with_mathml
from zoo.contract.equations.terminal import readable, with_readable

__all__ = ["mathml", "readable", "with_mathml", "with_readable"]
