"""What a data set holds before anything is trained on it: counts, duplicates, and what leaks between its splits."""
