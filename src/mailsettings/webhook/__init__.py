"""Telling another service by HTTP what has happened, as Standard Webhooks 1.0.0 has it. Knows nothing of SMTP."""
