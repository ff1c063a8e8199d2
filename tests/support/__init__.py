"""Helpers of the tests: servers to test against, databases, the service itself, programs, and limits of time."""
