# One image for the proxy, the console and the task worker; compose.yaml starts them.
FROM python:3.13-slim

RUN useradd --create-home --uid 1000 ccproxy && install -d -o ccproxy -m 0700 /config
WORKDIR /opt/ccproxy
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER ccproxy
ENV CCPROXY_CONFIG_DIR=/config
EXPOSE 4000 8083
CMD ["ccproxy", "start", "--no-console"]
