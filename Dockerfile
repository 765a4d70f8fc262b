# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all:
WORKDIR /src
# What changes seldom comes first, so that a change of our own code rebuilds one small layer.
COPY requirements.txt requirements-build.txt ./
RUN pip install --require-hashes -r requirements-build.txt \
    && python -m venv --without-pip /opt/netanomaly \
    && pip --python /opt/netanomaly/bin/python install --require-hashes --no-compile -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY job job
COPY detectors detectors
# Tests that packages carry are a fifth of the image; compiled bytecode saves two thirds of the time to the first call.
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /dist . \
    && pip --python /opt/netanomaly/bin/python install --no-deps --no-compile /dist/*.whl \
    && find /opt/netanomaly -type d -name tests -prune -exec rm -rf {} + \
    && /opt/netanomaly/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/netanomaly/lib

FROM python:3.13-slim
COPY --from=build /opt/netanomaly /opt/netanomaly
# Two arenas rather than sixteen: 3,000 series, three detectors, peak at 420 MB instead of 518 MB, at no cost of CPU.
# The storage client would otherwise read the bucket's own metadata, which object-only roles do not allow.
ENV PATH=/opt/netanomaly/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA=true \
    NETANOMALY_SOURCE=monitoring
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["netanomaly"]
CMD ["run"]
