# docker build -t submission .
# docker run --gpus all -v "$PWD/results:/results" -v "$PWD/data:/data:ro" submission --dataset cifar100
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}

# A CPU build of torch, where one lies in the build context as TORCH_WHEEL; else pip chooses.
ARG TORCH_WHEEL=""

# The fast judge builds its kernels on the machine it runs on.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app

COPY requirements.txt ${TORCH_WHEEL} ./
RUN if [ -n "${TORCH_WHEEL}" ]; then pip install "./$(basename "${TORCH_WHEEL}")"; fi \
 && pip install -r requirements.txt

COPY evaluation evaluation
COPY submission submission
COPY harness harness
COPY LICENSE README.md pyproject.toml ./

# Runs as nobody in particular; /results and the caches must be writable for it.
RUN useradd --create-home runner && mkdir /results /data && chown runner /results
USER runner
ENV SUBMISSION_DATA=/data XDG_CACHE_HOME=/tmp/cache
WORKDIR /results
ENV PYTHONPATH=/app

ENTRYPOINT ["python", "-m", "harness"]
CMD ["--dataset", "digits"]
