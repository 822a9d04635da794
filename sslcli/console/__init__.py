"""What a person sees: messages, progress, tables, and streams that outlive their reader. No torch."""
