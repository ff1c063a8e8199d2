"""The HTTP server: connections, limits, the TLS certificate, worker processes. All that knows uvicorn."""
