"""Everything that makes weights: data, degradations, losses, the loop, metrics. Never imported at run time."""
