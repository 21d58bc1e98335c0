# One image per service, `auth`, `server_ops` and `security`: services/runtime, its own folder of
# services/, what is generated from the protos, and the packages of its own lock. `edge` is Envoy with
# what it transcodes with. `setup` makes what an installation starts with, and Envoy's configuration.

# Generates gen/ from the protos, and the files that the edge serves, with tools that no service needs.
FROM python:3.11-slim AS gen
WORKDIR /src
RUN python -m venv /venv
COPY requirements/gen.lock requirements/
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/gen.lock
COPY edge/docs edge/docs
COPY console/package.json console/package-lock.json console/
COPY tools/__init__.py tools/node_packages.py tools/
RUN /venv/bin/python -m tools.node_packages edge/docs && /venv/bin/python -m tools.node_packages console
COPY pyproject.toml ./
COPY protos protos
COPY services/__init__.py services/
COPY services/runtime services/runtime
COPY tools tools
COPY edge/*.lua edge/
COPY console console
RUN /venv/bin/python -m tools.gen && /venv/bin/python -m tools.static

# What every service is: no pip in its environment, and nothing that it could write to.
FROM python:3.11-slim AS service
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin f2h
WORKDIR /app
COPY --from=gen /src/gen gen
COPY services/__init__.py services/
COPY services/runtime services/runtime
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app:/app/gen PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER f2h

FROM python:3.11-slim AS packages
RUN python -m venv --without-pip /venv

FROM packages AS auth_packages
COPY requirements/auth.lock ./
RUN python -m pip --python /venv/bin/python install --no-cache-dir --require-hashes -r auth.lock

FROM packages AS server_ops_packages
COPY requirements/server_ops.lock ./
RUN python -m pip --python /venv/bin/python install --no-cache-dir --require-hashes -r server_ops.lock

FROM packages AS security_packages
COPY requirements/security.lock ./
RUN python -m pip --python /venv/bin/python install --no-cache-dir --require-hashes -r security.lock

FROM service AS auth
COPY --from=auth_packages /venv /venv
COPY services/auth services/auth
CMD ["python", "-m", "services.auth"]

FROM service AS server_ops
COPY --from=server_ops_packages /venv /venv
COPY services/server_ops services/server_ops
CMD ["python", "-m", "services.server_ops"]

FROM service AS security
COPY --from=security_packages /venv /venv
COPY services/security services/security
CMD ["python", "-m", "services.security"]

FROM packages AS setup_packages
COPY requirements/setup.lock ./
RUN python -m pip --python /venv/bin/python install --no-cache-dir --require-hashes -r setup.lock

FROM service AS setup
COPY --from=setup_packages /venv /venv
COPY lab/__init__.py lab/ca.py lab/
COPY edge/*.py edge/envoy.yaml edge/*.lua edge/
COPY deploy/__init__.py deploy/setup.py deploy/
USER root
# Where Envoy's configuration is written. A fresh volume takes its owner from here.
RUN install -d -o f2h -g f2h -m 0755 /etc/envoy
USER f2h
ENTRYPOINT ["python", "-m"]

# For the check below alone: a configuration, and certificates, without which Envoy refuses it.
FROM setup AS example
USER root
RUN python -c "from pathlib import Path; from lab import ca; ca.make(Path('/etc/f2h/tls')); \
    ca.make_services(Path('/etc/f2h/parts'))" \
 && python -m edge /etc/envoy

FROM envoyproxy/envoy:v1.40.0 AS edge
COPY --from=gen /src/gen/descriptor.binpb /src/gen/edge/*.lua /etc/f2h/
COPY --from=gen /src/edge/static /srv/f2h/static
# A configuration that Envoy would refuse is no image.
RUN --mount=type=bind,from=example,source=/etc/f2h/tls,target=/etc/f2h/tls \
    --mount=type=bind,from=example,source=/etc/f2h/parts/edge,target=/etc/f2h/services-tls \
    --mount=type=bind,from=example,source=/etc/envoy,target=/etc/envoy \
    envoy --mode validate -c /etc/envoy/envoy.json
# Its user `envoy`, from the beginning.
USER 101:101
CMD ["envoy", "-c", "/etc/envoy/envoy.json", "-l", "warn"]
