# docker build -t submission .        (`make image` also tells it the commit)
# mkdir -p results && docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/results:/results" submission
# docs/container.md has the rest: GPUs, data, caches, read-only containers, compose, Apptainer.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
# A torch wheel in the context, such as a CPU build, is taken before what the index has.
COPY requirements.txt torch-*.whl /wheels/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --find-links /wheels -r /wheels/requirements.txt

FROM ${PYTHON_IMAGE}
# g++ for the judge's kernel and torch.compile; tini passes signals on and collects the dead.
RUN apt-get update && apt-get install -y --no-install-recommends g++ tini && rm -rf /var/lib/apt/lists/* \
 && mkdir -m 1777 /results /cache && mkdir /data /weights \
 && echo 'runner:x:1000:1000::/tmp:/bin/sh' >> /etc/passwd && echo 'runner:x:1000:' >> /etc/group
COPY --from=packages /opt/venv /opt/venv
COPY LICENSE README.md pyproject.toml /app/
COPY evaluation /app/evaluation
COPY submission /app/submission
COPY harness /app/harness
RUN /opt/venv/bin/python -m compileall -q /app
ARG COMMIT=""
LABEL org.opencontainers.image.revision=${COMMIT} org.opencontainers.image.licenses=Apache-2.0
# Any user may run this, without a home or an entry in /etc/passwd: nothing is written outside /results, /cache and /tmp.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 \
    HOME=/tmp USER=runner XDG_CACHE_HOME=/cache MPLCONFIGDIR=/cache/matplotlib SUBMISSION_DATA=/data SUBMISSION_COMMIT=${COMMIT}
USER 1000:1000
WORKDIR /results
STOPSIGNAL SIGINT
ENTRYPOINT ["tini", "-s", "--", "python", "-m", "harness"]
CMD ["--dataset", "digits", "--epochs", "60"]
