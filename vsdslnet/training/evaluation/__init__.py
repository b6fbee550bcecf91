"""How good a network is: against references, and against what must hold without any."""
