"""Records as tables, figures, Markdown and HTML."""
