FROM python:3.13.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/treasury-watch \
 && /opt/treasury-watch/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock \
 && pip install --no-cache-dir --require-hashes --no-deps -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY rules rules
RUN python -m hatchling build -t wheel \
 && /opt/treasury-watch/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.13.11-slim-bookworm
RUN groupadd --system --gid 10001 treasury-watch \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin treasury-watch \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/treasury-watch
COPY --from=build /opt/treasury-watch /opt/treasury-watch
ENV PATH=/opt/treasury-watch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can see that it is not root. Nothing that was copied is this user's: it runs on a
# read-only file system and writes to TREASURY_WATCH_DATA_DIR only, by default in /tmp; a volume for what is to be kept
# belongs on /var/lib/treasury-watch, which is this user's.
USER 10001:10001
ENTRYPOINT ["treasury-watch"]
CMD ["worker"]
