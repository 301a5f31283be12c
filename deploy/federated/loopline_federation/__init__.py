"""The Flower app of federated learning: its server agrees with clients on a model, by the code that the grid uses."""
