"""What pretrain, probe, finetune and resume do: a settled plan in, a finished run out."""
