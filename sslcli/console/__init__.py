"""Messages, progress, tables, and streams that outlive their reader. No torch."""
