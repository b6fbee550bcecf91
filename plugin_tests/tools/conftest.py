"""The tools read the same clips as encodes do."""

from plugin_tests.encode.conftest import clip, command, plugin_in_workers, settings

__all__ = ["clip", "command", "plugin_in_workers", "settings"]
