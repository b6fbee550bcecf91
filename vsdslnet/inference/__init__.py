"""From a window of SDR frames to one HDR frame: settings, the backend seam, the look applied behind it."""
