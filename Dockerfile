# One image for all: the roles (`python -m pipeline …`) and the app. docker-compose.yml says who runs what.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt requirements-pipeline.txt constraints.txt ./
# Built or fetched first and installed without a network after that: what is installed is what was collected.
RUN python -m pip wheel --no-cache-dir --wheel-dir wheels --requirement requirements.txt \
    && python -m venv /venv \
    && /venv/bin/python -m pip install --no-cache-dir --no-index --find-links wheels --requirement requirements.txt \
    && /venv/bin/python -m pip uninstall --yes pip setuptools

FROM python:3.11.14-slim-bookworm
# A fixed id, so that the files on the volumes keep their owner from one image to the next. A new named volume takes
# owner and files from the folder that it is mounted on: an empty mapping file, for whoever saves the first section.
RUN groupadd --gid 10001 orderpulse \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin orderpulse \
    && install --directory --owner=orderpulse --group=orderpulse --mode=0750 /data /config \
    && install --owner=orderpulse --group=orderpulse --mode=0640 /dev/null /config/mapping.toml
ENV PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORDERPULSE_DATA_DIR=/data
WORKDIR /app
COPY --from=build /venv /venv
COPY .streamlit/ .streamlit/
COPY schemas/ schemas/
COPY pipeline/ pipeline/
COPY dashboard/ dashboard/
COPY pages/ pages/
COPY streamlit_app.py rules.toml ./
# The file system is read-only when it runs, so the bytecode is made now.
RUN python -m compileall -q .
USER 10001:10001
VOLUME /data /config
EXPOSE 8501
# Health checks are in docker-compose.yml: each role has its own.
CMD ["streamlit", "run", "streamlit_app.py", "--server.address", "0.0.0.0"]
