"""The finished file: chunks joined, and everything else the source holds."""
