# Two images. `services` runs auth, server_ops or security: `python -m services.NAME`.
# `edge` is Envoy with our configuration and what it transcodes with.

# Generates gen/ from the protos, and the files that the edge serves, with the tools that the services
# do not need.
FROM python:3.11-slim AS gen
WORKDIR /src
RUN python -m venv /venv
COPY requirements-dev.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY edge/docs edge/docs
COPY tools/__init__.py tools/node_packages.py tools/
RUN /venv/bin/python -m tools.node_packages edge/docs
COPY pyproject.toml ./
COPY protos protos
COPY services/__init__.py services/
COPY services/runtime services/runtime
COPY tools tools
RUN /venv/bin/python -m tools.gen && /venv/bin/python -m tools.static
# Certificates for the check below alone: Envoy refuses a configuration whose files are missing.
COPY lab/__init__.py lab/ca.py lab/
RUN /venv/bin/python -c "from pathlib import Path; from lab import ca; ca.make(Path('tls'))"

# What the services need, and nothing else, each file as the lock says.
FROM python:3.11-slim AS packages
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.11-slim AS services
# The data folder belongs to the user, and a fresh volume takes its owner from here.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin f2h \
 && install -d -o f2h -g f2h -m 0700 /var/lib/f2h
WORKDIR /app
COPY --from=packages /venv /venv
COPY --from=gen /src/gen gen
COPY services services
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app:/app/gen PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER f2h
CMD ["python", "-c", "raise SystemExit('say which service: python -m services.auth, …')"]

FROM envoyproxy/envoy:v1.40.0 AS edge
COPY edge/envoy.yaml edge/edge-certificate.yaml edge/services-ca.yaml /etc/envoy/
COPY --from=gen /src/gen/descriptor.binpb /etc/f2h/descriptor.binpb
COPY --from=gen /src/edge/static /srv/f2h/static
# A configuration that Envoy would refuse is no image.
RUN --mount=type=bind,from=gen,source=/src/tls,target=/etc/f2h/tls \
    envoy --mode validate -c /etc/envoy/envoy.yaml
CMD ["envoy", "-c", "/etc/envoy/envoy.yaml", "-l", "warn"]
