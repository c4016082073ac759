# A TPM in software, for trying: it protects nothing.
FROM debian:12-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends swtpm \
  && rm -rf /var/lib/apt/lists/*
USER 1000:1000
ENTRYPOINT ["swtpm", "socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", "dir=/tpm"]
CMD ["--server", "type=tcp,bindaddr=0.0.0.0,port=2321", "--ctrl", "type=tcp,bindaddr=0.0.0.0,port=2322"]
