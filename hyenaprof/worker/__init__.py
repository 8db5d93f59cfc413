"""The process that computes: torch lives here, behind the pipe."""
