"""DSLNet strip by strip, every strip's layer a task that any thread can take."""
