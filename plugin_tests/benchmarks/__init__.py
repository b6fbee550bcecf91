"""What things cost, against something else measured in the same run; no test. Each has a door in scripts/."""
