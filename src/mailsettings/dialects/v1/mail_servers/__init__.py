"""Mail servers: read, change, choose the default, and go back to an earlier version."""
