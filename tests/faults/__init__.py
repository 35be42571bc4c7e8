"""The fault matrix: runs of `migrate` are killed, starved and cut off, for real."""
