"""The paper's comparisons: its ablations, the baselines of its table 1, and its tables."""
