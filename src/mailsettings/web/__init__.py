"""HTTP plumbing for every API, free of vendors' paths, words and error shapes."""
