FROM node:22-bookworm-slim AS packages
WORKDIR /app
COPY package.json aws-hmac.tgz ./
# No package needs a script, a compiler or a library of the system.
RUN npm install --omit=dev --ignore-scripts --no-audit --no-fund
COPY presign.mjs ./

FROM gcr.io/distroless/nodejs22-debian13:nonroot
ENV NODE_ENV=production
COPY --from=packages /app /app
COPY host.module /etc/pkcs11/modules/
USER nonroot
ENTRYPOINT ["/nodejs/bin/node"]
CMD ["/app/presign.mjs"]
