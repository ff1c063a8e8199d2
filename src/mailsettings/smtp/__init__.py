"""SMTP lives here and nowhere else: the connection test, from finding the host to the last reply."""
