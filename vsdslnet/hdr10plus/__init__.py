"""HDR10+: dynamic metadata of SMPTE ST 2094-40 (application 4, version 1), shot by shot."""
