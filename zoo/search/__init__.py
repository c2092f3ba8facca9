"""Search: candidates, the trials that are made of them, and what came out.

A *candidate* is a name, an unfitted estimator and a space of parameters. A *trial* is one setting of
one candidate over all folds: the unit of work, of failure and of resuming. Splitting, scoring,
drawing of settings and the shape of ``cv_results_`` are scikit-learn's; the loop is written here,
because scikit-learn's searches keep nothing until all of it is done.

From the bottom up: a plan says what to try (``_plan``), a fold of a trial is fitted somewhere
(``_fold``, ``_workers``), a finished trial is kept (``_journal``), settings ask for trials
(``_settings``), the engine answers (``_engine``), and the outcome tells (``_outcome``).
"""

from zoo.search._compare import leaderboard, proposals, run
from zoo.search._engine import default_metrics
from zoo.search._fingerprint import fingerprint
from zoo.search._fold import fit, last_step
from zoo.search._journal import Trial
from zoo.search._outcome import Outcome, Predictions, interval
from zoo.search._plan import Candidate, Plan, Range, auto_space, no_metric
from zoo.search._settings import count_trials
from zoo.search._show import Show

__all__ = [
    "Candidate",
    "Outcome",
    "Plan",
    "Predictions",
    "Range",
    "Show",
    "Trial",
    "auto_space",
    "count_trials",
    "default_metrics",
    "fingerprint",
    "fit",
    "interval",
    "last_step",
    "leaderboard",
    "no_metric",
    "proposals",
    "run",
]
