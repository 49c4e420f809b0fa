# syntax=docker/dockerfile:1
# Two stages: the first has compilers' worth of tools and builds the environment, the second carries only what runs.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock ./
RUN python -m venv /opt/marchamo \
 && /opt/marchamo/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY ledger ./ledger
COPY scanners ./scanners
RUN /opt/marchamo/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
RUN groupadd --system --gid 10001 marchamo \
 && useradd --system --uid 10001 --gid marchamo --home-dir /var/lib/marchamo --create-home --shell /usr/sbin/nologin marchamo
COPY --from=build /opt/marchamo /opt/marchamo
ENV PATH=/opt/marchamo/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MARCHAMO_DATA_DIR=/var/lib/marchamo \
    MARCHAMO_HOST=0.0.0.0
USER marchamo
VOLUME /var/lib/marchamo
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["marchamo", "serve", "--prepare"]
