# syntax=docker/dockerfile:1
# Two stages: the first builds the environment from the lock, the second carries that environment and nothing else.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements-service.lock ./
RUN python -m venv /opt/marchamo \
 && /opt/marchamo/bin/pip install --require-hashes --requirement requirements-service.lock
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY ledger ./ledger
COPY scanners ./scanners
RUN /opt/marchamo/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
RUN groupadd --system --gid 10001 marchamo \
 && useradd --system --uid 10001 --gid marchamo --home-dir /var/lib/marchamo --create-home --shell /usr/sbin/nologin marchamo \
 && chmod 0700 /var/lib/marchamo
COPY --from=build /opt/marchamo /opt/marchamo
ENV PATH=/opt/marchamo/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MARCHAMO_DATA_DIR=/var/lib/marchamo \
    MARCHAMO_HOST=0.0.0.0
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /var/lib/marchamo
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["marchamo", "serve", "--prepare"]
