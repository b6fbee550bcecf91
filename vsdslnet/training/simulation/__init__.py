"""From a scene to an SDR shot and its HDR master: camera, grade, SDR looks, degradation."""
