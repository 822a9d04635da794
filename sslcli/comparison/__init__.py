"""Pretrained beside scratch: pairs, differences with intervals, and the answer in words. Trains and draws nothing."""
