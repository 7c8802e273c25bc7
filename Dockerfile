# One image for gateway, web, worker and beat; docker-compose.yml says what each runs.
FROM python:3.13-slim AS native

RUN apt-get update -q && apt-get install -q -y --no-install-recommends gcc libc6-dev
WORKDIR /app
COPY requirements.txt requirements-native.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements-native.txt
COPY pools pools
COPY scripts/native.py scripts/native.py
RUN python scripts/native.py

FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY manage.py .
COPY pools pools
COPY proxysite proxysite
COPY --from=native /app/build build
RUN python -m compileall -q manage.py pools proxysite \
    && useradd --system --uid 10001 --no-create-home proxysite \
    && install -d -o proxysite -m 0700 /data

ENV DATA_DIR=/data DJANGO_SETTINGS_MODULE=proxysite.settings
USER 10001
EXPOSE 8000 8080
CMD ["python", "manage.py", "gateway", "--bind", "0.0.0.0:8080"]
