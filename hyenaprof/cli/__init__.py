"""Commands: thin over running, analysis and report; errors become exit codes here."""
