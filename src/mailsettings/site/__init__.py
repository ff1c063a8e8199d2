"""What belongs to us and to no vendor: the documentation page, the OpenAPI documents, the health check."""
