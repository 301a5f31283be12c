"""`loopline ui`: the Dagster UI, the pages of a home over HTTP, and MLflow's UI, as one command that leaves nothing behind."""
