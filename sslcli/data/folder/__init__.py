"""A person's own pictures: a folder of files as one data set."""
