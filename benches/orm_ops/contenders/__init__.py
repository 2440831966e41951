"""The contenders, each doing the operations as its documentation shows."""
