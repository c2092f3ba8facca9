"""What files of earlier versions call things, and what these are called today."""

# Format 1 named a thing by the module that it stood in.
FORMAT_1 = {
    f"zoo.{module}.{name}": f"zoo.{name}"
    for module, names in {
        "agents.dqn": "DQN",
        "generative.vae": "VAE",
        "linear.bradley_terry": "BradleyTerry",
        "linear.lasso": "Lasso",
        "linear.lasso_cv": "LassoCV",
        "linear.linear_regression": "LinearRegression",
        "linear.logistic_regression": "LogisticRegression",
        "linear.piecewise": "PiecewiseLinearRegressor",
        "linear.ridge": "Ridge",
        "linear.ridge_cv": "RidgeCV",
        "linear.scaling_law": "ScalingLaw",
        "mlp.mlp": "MLPClassifier MLPRegressor",
        "noprop.ct": "NoPropCTClassifier",
        "noprop.difference_target_prop": "DifferenceTargetPropClassifier",
        "noprop.dt": "NoPropDTClassifier",
        "noprop.feedback_alignment": "FeedbackAlignmentClassifier",
        "noprop.fm": "NoPropFMClassifier",
        "noprop.forward_forward": "ForwardForwardClassifier",
        "noprop.hybrid": "NoPropHybridClassifier",
        "noprop.local_loss": "LocalLossClassifier",
        "noprop.target_activation": "TargetActivationClassifier TargetActivationRegressor",
        "recommend.matrix_factorization": "MatrixFactorization",
        "sequence.rnn": "RNNClassifier RNNRegressor",
        "svm.linear_svc": "LinearSVC",
        "svm.one_class_svm": "OneClassSVM",
        "svm.svc": "SVC",
        "svm.svr": "SVR",
        "text.gpt": "GPT",
        "trees.ada_boost": "AdaBoostClassifier",
        "trees.boosting": "BoostingClassifier BoostingRegressor",
        "trees.decision_tree": "DecisionTreeClassifier DecisionTreeRegressor",
        "trees.least_squares_boosting": "LeastSquaresBoostingRegressor",
        "trees.random_forest": "RandomForestClassifier RandomForestRegressor",
        "vision.convnet": "ConvNetClassifier ConvNetRegressor",
    }.items()
    for name in names.split()
} | {"zoo.trees.columns.Explanation": "zoo.Explanation"}
# Estimators that have been renamed since: key then -> key now.
RENAMED: dict[str, str] = {}


def today(name: str, written: int) -> str:
    """Return what a name in a file of that format is called today."""
    name = FORMAT_1.get(name, name) if written == 1 else name
    return RENAMED.get(name, name)
