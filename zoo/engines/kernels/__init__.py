"""Kernel machines: rows of kernel matrices and the solvers of the dual problem."""
