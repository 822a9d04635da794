"""The work of pretrain, probe, finetune and resume: a settled plan in, a finished run out."""
