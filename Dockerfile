# The server. `docker run … node src/bursar.ts migrate` (with DATABASE_URL) brings a database to what it needs first.
FROM node:24-slim

ENV NODE_ENV=production HOST=0.0.0.0 PORT=5678
WORKDIR /bursar

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

COPY lints ./lints
COPY migrations ./migrations
COPY plugins ./plugins
COPY src ./src

# What the server compiles when it starts is kept in the image, which the account it runs as can't write.
RUN ["node", "--max-semi-space-size=16", "--heap-growing-percent=30", "--input-type=module", "--eval", "await import('/bursar/src/compile-cache.ts'); await import('/bursar/src/graphile-environment.ts'); await import('/bursar/src/serve.ts')"]

USER node
EXPOSE 5678

# That the server answers. It does not ask the database: a restart would not mend that.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# So that memory stays flat: see docs/performance.md.
CMD ["node", "--max-semi-space-size=16", "--heap-growing-percent=30", "src/bursar.ts", "serve"]
