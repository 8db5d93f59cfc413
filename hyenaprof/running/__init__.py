"""What to measure next, and the workers that do it: started, timed out, outlived."""
