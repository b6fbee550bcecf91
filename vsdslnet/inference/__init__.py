"""From a window of SDR frames to one HDR frame: settings, the engine seam, the look applied behind it."""
