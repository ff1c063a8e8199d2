"""Connection tests on the command line: their progress and their reports."""
