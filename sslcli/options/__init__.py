"""The options of the commands, checked, and what of them makes two runs a pair. No torch."""
