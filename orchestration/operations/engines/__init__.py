"""Other engines: what is exported for Airflow, DVC and Kubeflow, what Spark builds, and what each costs."""
