"""The embedded servers of a laptop: everything under one home folder, on free loopback ports."""
