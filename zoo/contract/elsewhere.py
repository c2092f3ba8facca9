"""What other libraries call things, and what the same is called here.

Nothing accepts two names: error messages read these tables through `did_you_mean`, and the guide prints
them. A word leads to the first of its names that there is.
"""

import difflib
from collections.abc import Collection, Sequence
from typing import Any

METHODS = {
    "XGBClassifier": ("BoostingClassifier",), "XGBRegressor": ("BoostingRegressor",),
    "XGBRFClassifier": ("RandomForestClassifier",), "XGBRFRegressor": ("RandomForestRegressor",),
    "LGBMClassifier": ("BoostingClassifier",), "LGBMRegressor": ("BoostingRegressor",),
    "CatBoostClassifier": ("BoostingClassifier",), "CatBoostRegressor": ("BoostingRegressor",),
    "HistGradientBoostingClassifier": ("BoostingClassifier",),
    "HistGradientBoostingRegressor": ("BoostingRegressor",),
    "GradientBoostingClassifier": ("BoostingClassifier",),
    "GradientBoostingRegressor": ("BoostingRegressor",),
    "KerasClassifier": ("MLPClassifier",), "KerasRegressor": ("MLPRegressor",),
    "NeuralNetClassifier": ("MLPClassifier",), "NeuralNetRegressor": ("MLPRegressor",),
    "ElasticNet": ("Lasso",), "ElasticNetCV": ("LassoCV",), "SGDClassifier": ("LogisticRegression",),
    "AlternatingLeastSquares": ("MatrixFactorization",), "LSTM": ("RNNClassifier",),
}  # fmt: skip
PARAMETERS = {
    # LightGBM, XGBoost and CatBoost
    "num_leaves": ("max_leaf_nodes",), "max_leaves": ("max_leaf_nodes",), "depth": ("max_depth",),
    "lambda_l2": ("reg_lambda",), "l2_leaf_reg": ("reg_lambda",), "l2_regularization": ("reg_lambda",),
    "lambda_l1": ("reg_alpha",), "eta": ("learning_rate",), "iterations": ("n_estimators",),
    "num_iterations": ("n_estimators",), "num_boost_round": ("n_estimators",),
    "min_split_gain": ("gamma",), "min_gain_to_split": ("gamma",), "min_split_loss": ("gamma",),
    "min_data_in_leaf": ("min_child_samples", "min_samples_leaf"),
    "min_sum_hessian_in_leaf": ("min_child_weight",), "bagging_fraction": ("subsample", "max_samples"),
    "feature_fraction": ("colsample_bytree", "max_features"), "max_bin": ("max_bins",),
    "feature_fraction_bynode": ("colsample_bynode", "max_features"), "rsm": ("colsample_bynode",),
    "objective": ("loss",), "loss_function": ("loss",), "cat_features": ("categorical_features",),
    "categorical_feature": ("categorical_features",), "monotonic_cst": ("monotone_constraints",),
    "interaction_cst": ("interaction_constraints",), "early_stopping_rounds": ("n_iter_no_change",),
    "early_stopping_round": ("n_iter_no_change",), "od_wait": ("n_iter_no_change",),
    "scale_pos_weight": ("class_weight",), "is_unbalance": ("class_weight",),
    "auto_class_weights": ("class_weight",), "class_weights": ("class_weight",),
    "nthread": ("n_jobs",), "num_threads": ("n_jobs",), "thread_count": ("n_jobs",),
    "seed": ("random_state",), "random_seed": ("random_state",),
    # scikit-learn's networks, Keras, skorch and agents
    "learning_rate_init": ("lr",), "learning_rate": ("lr",), "max_iter": ("max_epochs",),
    "epochs": ("max_epochs",), "n_epochs": ("max_epochs",), "alpha": ("weight_decay",),
    "solver": ("optimizer",), "hidden_units": ("hidden_layer_sizes",), "layers": ("hidden_layer_sizes",),
    "net_arch": ("hidden_layer_sizes",), "patience": ("n_iter_no_change",),
    "n_timesteps": ("total_timesteps",), "policy_kwargs": ("hidden_layer_sizes",),
    "n_factors": ("n_components",), "factors": ("n_components",),
}  # fmt: skip
METRICS = {
    "rmse": ("neg_root_mean_squared_error",), "mse": ("neg_mean_squared_error",),
    "mae": ("neg_mean_absolute_error",), "mape": ("neg_mean_absolute_percentage_error",),
    "rmsle": ("neg_root_mean_squared_log_error",), "logloss": ("neg_log_loss",),
    "log_loss": ("neg_log_loss",), "binary_logloss": ("neg_log_loss",), "multi_logloss": ("neg_log_loss",),
    "mlogloss": ("neg_log_loss",), "cross_entropy": ("neg_log_loss",), "auc": ("roc_auc",),
    "roc_auc_score": ("roc_auc",), "aucpr": ("average_precision",), "acc": ("accuracy",),
    "accuracy_score": ("accuracy",), "error": ("accuracy",), "merror": ("accuracy",),
    "f1_score": ("f1",), "r2_score": ("r2",), "brier": ("neg_brier_score",),
}  # fmt: skip


def called_here(word: str, known: Collection[str]) -> str | None:
    """Return what is known here for a word of another library; None where there is nothing.

    Examples
    --------
    >>> called_here("num_leaves", ["max_leaf_nodes", "max_depth"])
    'max_leaf_nodes'
    """
    for table in (METHODS, PARAMETERS, METRICS):
        for ours in table.get(word, ()):
            if ours in known:
                return ours
    return None


def did_you_mean(given: Any, known: Sequence[str]) -> str:
    """Return `` Did you mean 'x'?`` when a known word is close or is another library's, else nothing."""
    if not isinstance(given, str):
        return ""
    ours = called_here(given, known)
    if ours is not None:
        return f" It is called {ours!r} here."
    alike = {word.lower(): word for word in reversed(known)}
    close = difflib.get_close_matches
    found = close(given, known, n=1) or close(given.lower(), alike, n=1)
    return f" Did you mean {alike.get(found[0], found[0])!r}?" if found else ""
