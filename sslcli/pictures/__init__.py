"""Pictures: values in, a figure out. Knows no run and no command."""
