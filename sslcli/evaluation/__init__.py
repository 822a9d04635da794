"""How an encoder is measured."""
