"""The contract: parameters, inputs, targets, roles, and the one `fit` of every method."""
