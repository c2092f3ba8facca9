"""Specs whose runs take a second."""

FAST = {
    "title": "Fast",
    "data": {"sklearn": {"make_classification": {"n_samples": 150, "n_features": 5, "random_state": 1}}},
    "steps": [],
    "models": [
        {"name": "line", "model": {"sklearn.LogisticRegression": {"C": {"choices": [0.01, 0.1, 1.0, 10.0]}}}},
        {"name": "bayes", "model": "GaussianNB"},
        {"name": "tree", "model": {"sklearn.DecisionTreeClassifier": {"max_depth": {"choices": [1, 2, 4]}}}},
    ],
    "search": {"kind": "grid"},
    "cv": 3,
    "metrics": ["accuracy", "roc_auc"],
}
SMALL = FAST | {"models": [{"name": "bayes", "model": "GaussianNB"}], "search": "none"}
