# ssl with torch's CPU build. Build it:   docker build -t ssl .
# Use it in the current folder:           docker run --rm -it --user "$(id -u):$(id -g)" -v "$PWD":/project ssl study
FROM python:3.13-slim
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE /src/
COPY sslcli /src/sslcli
RUN pip install --no-cache-dir "/src[export]"
# Caches of matplotlib and torch go where any user may write.
ENV HOME=/tmp
WORKDIR /project
ENTRYPOINT ["ssl"]
