"""What others see of the running service: figures for Prometheus, traces for OpenTelemetry."""
