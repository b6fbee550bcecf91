"""The source: what it holds, and its frames."""
