"""The card of an encoder: how sturdy it is where the pictures change, beside its partners."""
