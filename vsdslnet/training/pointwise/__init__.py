"""The network on single points: what it does with tone and colour, learnt apart from texture."""
