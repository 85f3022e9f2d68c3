# fiducia serve on CPUs. Build: docker build -t fiducia .   The token comes from the environment: FIDUCIA_TOKEN.
# The wheel is built in a stage of its own, so that the image holds neither the sources nor a cache.
FROM python:3.12-slim AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE CHANGELOG.md CITATION.cff ./
COPY src ./src
COPY recipes ./recipes
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
# The address of an index with CPU builds of torch, as PyTorch's installation page gives it. Without one, pip may take a build
# for CUDA, which is several gigabytes larger.
ARG TORCH_INDEX=
COPY constraints.txt /tmp/
COPY --from=wheel /wheels /tmp/wheels
RUN python -m pip install --no-cache-dir -c /tmp/constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        "$(ls /tmp/wheels/fiducia-*.whl)[serve]" \
    && site="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && rm -rf /tmp/wheels /tmp/constraints.txt "$site/torch/test" "$site/torch/include" \
    && find "$site/torch/bin" -type f ! -name torch_shm_manager -delete \
    && useradd --system --uid 10001 --no-create-home fiducia
USER 10001
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["fiducia", "serve", "--host", "0.0.0.0", "--port", "8000"]
