"""What is on disk, read and written: scenarios, journals, runs, baselines."""
