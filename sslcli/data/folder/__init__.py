"""Own pictures: a folder of files as a data set."""
