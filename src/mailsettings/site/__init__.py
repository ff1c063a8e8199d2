"""The service's own pages and APIs: documentation, OpenAPI documents, health checks, audit log, metrics."""
