FROM python:3.13-slim AS build
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

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home treasury-watch
COPY --from=build /opt/treasury-watch /opt/treasury-watch
ENV PATH=/opt/treasury-watch/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
ENTRYPOINT ["treasury-watch"]
CMD ["worker"]
