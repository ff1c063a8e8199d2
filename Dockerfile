# The service as an image: built with everything, run with nothing but Python and the service.

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/mailsettings
ENV PATH=/opt/mailsettings/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The libraries first: they change less often than the project does.
COPY requirements.lock requirements-tracing.lock ./
# To send traces: docker build --build-arg LOCK=requirements-tracing.lock .
ARG LOCK=requirements.lock
RUN pip install --no-deps --require-hashes --requirement "$LOCK"
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY alembic alembic
# The lock includes the packages for the build, so this fetches nothing without a hash.
RUN pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="mail-settings" \
      org.opencontainers.image.description="Keeps an organisation's SMTP settings and proves that they work." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.5.0"
COPY --from=build /opt/mailsettings /opt/mailsettings
ENV PATH=/opt/mailsettings/bin:$PATH PYTHONUNBUFFERED=1 MAILSETTINGS_DATA_DIR=/data MAILSETTINGS_HOST=0.0.0.0
# A new volume gets the owner of the directory that it is mounted on. The user has only a number, so that an
# orchestrator can see that it is not root.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
USER 10001:10001
WORKDIR /data
EXPOSE 8080
# The relay: STARTTLS and implicit TLS.
EXPOSE 2587 2465
# For engines without a check of their own, and for `serve` without TLS; set another check for other commands.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/health/ready' % os.environ.get('MAILSETTINGS_PORT', 8080), timeout=4)"]
ENTRYPOINT ["mailsettings"]
CMD ["serve"]
