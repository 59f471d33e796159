# Every service but the trainer: docker build -t entityflow . && docker run entityflow fetcher
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/entityflow \
 && for extra in entity-harvester query-builder searcher fetcher filter index sharder coverage console import; do \
      /opt/entityflow/bin/pip install --no-cache-dir --require-hashes -r requirements/$extra.txt || exit 1; \
    done
COPY pyproject.toml README.md LICENSE ./
COPY entityflow/ entityflow/
COPY services/ services/
COPY schemas/ schemas/
COPY domains/ domains/
RUN /opt/entityflow/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home entityflow \
 && mkdir /state && chown entityflow /state
COPY --from=build /opt/entityflow /opt/entityflow
ENV PATH=/opt/entityflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENTITYFLOW_STATE_DIR=/state \
    ENTITYFLOW_LOG_FORMAT=json \
    ENTITYFLOW_METRICS_BIND=0.0.0.0 \
    ENTITYFLOW_METRICS_PORT=8081
USER 10001
WORKDIR /state
VOLUME /state
# exec form: SIGTERM reaches the service itself, which then finishes what it holds
ENTRYPOINT ["python", "-m", "entityflow.serve"]
CMD ["fetcher"]
