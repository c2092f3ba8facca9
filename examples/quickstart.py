"""
A first useful run: five kinds of method on handwritten digits
==============================================================

1,797 pictures of digits, 8 x 8 pixels each, ship with scikit-learn. Five methods of different
families learn to read them, and cross-validation says which reads best.
"""

import os
import time

from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate, train_test_split

import zoo

SMALL = os.environ.get("ZOO_EXAMPLE_SIZE") == "small"

METHODS = {
    "a linear model": zoo.LogisticRegression(C=0.01),
    "a kernel machine": zoo.SVC(gamma=0.001),
    "a random forest": zoo.RandomForestClassifier(random_state=0),
    "a perceptron": zoo.MLPClassifier(max_epochs=20, lr=3e-3, random_state=0),
    "a convolutional network": zoo.ConvNetClassifier(
        filters=(16, 32), batch_size=32, max_epochs=12, random_state=0
    ),
}


def main() -> None:
    """Fit, compare, search."""
    X, y = load_digits(return_X_y=True)
    if SMALL:
        X, y = X[:300], y[:300]
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    folds = StratifiedKFold(2 if SMALL else 3, shuffle=True, random_state=0)

    print(f"{len(X)} pictures of digits to learn from, {len(X_test)} kept for the end.\n")
    print("One fit first, with scikit-learn's own progress bar:\n")
    first = clone(METHODS["a perceptron"]).set_callbacks(ProgressBar())
    first.fit(X, y)
    print(f"\nThe perceptron reads {first.score(X_test, y_test):.1%} of the new digits.")

    print(f"\nNow all of them, {folds.n_splits}-fold cross-validation on the same folds:\n")
    print(f"| {'method':<24} | {'estimator':<22} | accuracy | seconds a fit |")
    print(f"|{'-' * 26}|{'-' * 24}|---------:|--------------:|")
    scores = {}
    for name, method in METHODS.items():
        began = time.perf_counter()
        result = cross_validate(method, X, y, cv=folds)
        seconds = (time.perf_counter() - began) / folds.n_splits
        scores[name] = result["test_score"].mean()
        print(
            f"| {name:<24} | {type(method).__name__:<22} | {scores[name]:8.1%} | {seconds:13.2f} |",
            flush=True,
        )

    best = max(scores, key=lambda name: scores[name])
    print(f"\nBest on the folds is {best}.")
    final = METHODS[best].fit(X, y)
    print(f"Fitted to all of them, it reads {final.score(X_test, y_test):.1%} of the new digits.")

    # What to search is on the card of the method: nothing has to be looked up.
    card = zoo.card("SVC")
    print(f"\nEvery method has a card. {card.name}: {card.summary}")
    search = GridSearchCV(zoo.SVC(), {"gamma": [1e-4, 1e-3, 1e-2]}, cv=folds).fit(X, y)
    print(f"A search over gamma finds {search.best_params_['gamma']:g} ({search.best_score_:.1%}).")
    print("\nNext: `zoo list` names all methods, `zoo show SVC` prints a card.")


if __name__ == "__main__":
    main()
