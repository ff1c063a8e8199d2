"""Connection tests: of a stored mail server, of given settings, and of many mail servers, as JSON or as events."""
