"""Public measures of a model on data, and how a metric becomes a measurement."""
