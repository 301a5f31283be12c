"""The service that answers, and the model folder that it answers from. Nothing of Dagster, MLflow or DuckDB."""
