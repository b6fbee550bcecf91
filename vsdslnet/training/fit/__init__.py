"""``vsdslnet fit``: from examples of a grade to a look file."""
