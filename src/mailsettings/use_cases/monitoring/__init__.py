"""Scheduled checks of mail servers, their results, and the events that they announce."""
