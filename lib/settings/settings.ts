import { shape } from "../contracts/schema.ts";

/** List of names and percent-encoded values in the format of W3C Baggage. */
const HEADERS = "^\\s*([^=,\\s]+\\s*=([^,%]|%[0-9a-fA-F]{2})*(,\\s*|$))*$";

/**
 * All settings of a process. Environment variables are text and are converted to these types. A
 * value can also come from the file that NAME_FILE names.
 */
export const settings = shape({
	NODE_ENV: {
		type: "enum",
		values: ["development", "test", "production"],
		default: "development",
		description: "In production, the start fails if a secret is missing, short or well known",
	},
	NAMESPACE: {
		type: "string",
		default: "",
		pattern: "^[A-Za-z0-9_-]*$",
		description: "Separates clusters that share a NATS server",
	},
	COLOR: {
		type: "string",
		default: "",
		pattern: "^[A-Za-z0-9_-]*$",
		description:
			"For blue-green deployments of two versions on the same data: " +
			"nodes call only nodes of the same color and share everything else",
	},
	NODEID: {
		type: "string",
		optional: true,
		pattern: "^[A-Za-z0-9._-]+$",
		description:
			"Name of this node, by default its services and host; each start appends a new token",
	},
	SERVICES: {
		type: "string",
		default: "",
		description: "Services that this process runs, comma-separated; all if empty",
	},
	LOGLEVEL: {
		type: "enum",
		values: ["fatal", "error", "warn", "info", "debug", "trace"],
		optional: true,
		description:
			"Lowest level that is logged; by default info, or warn when the start screen is shown",
	},
	LOG_FORMAT: {
		type: "enum",
		values: ["json", "pretty"],
		optional: true,
		description: "Format of log lines; by default json in production and pretty otherwise",
	},
	ACCESS_LOG: {
		type: "enum",
		values: ["all", "errors", "off"],
		default: "all",
		description:
			"Requests in the access log: all, errors (4xx and 5xx), or only internal errors (off)",
	},
	TRANSPORTER: {
		type: "string",
		optional: true,
		pattern: "^nats://",
		description:
			"NATS server of the cluster, nats://host:4222 or nats://user:password@host:4222; " +
			"without it, everything runs in this process",
	},
	CACHER: {
		type: "string",
		optional: true,
		pattern: "^rediss?://",
		description:
			"Redis server, redis://host:6379; without it, only a single process caches, in its memory",
	},
	DATABASE_URL: {
		type: "string",
		optional: true,
		pattern: "^postgres(ql)?://.*\\{service\\}",
		description:
			"postgres://{service}:password@host:5432/{service}, where {service} stands " +
			"for the name of the service; without it, an embedded Postgres is started",
	},
	DATABASE_ADMIN_URL: {
		type: "string",
		optional: true,
		pattern: "^postgres(ql)?://",
		description: "Only for npm run migrate: a user who may create missing roles and databases",
	},
	DATABASE_POOL: {
		type: "number",
		integer: true,
		min: 1,
		max: 100,
		convert: true,
		default: 15,
		description: "Maximum number of connections per service and process",
	},
	SQL_ECHO: {
		type: "boolean",
		convert: true,
		default: false,
		description: "Log every SQL statement",
	},
	DATA_DIR: {
		type: "string",
		default: ".data",
		description: "Folder of the embedded Postgres and of generated secrets",
	},
	DRAIN_MS: {
		type: "number",
		integer: true,
		min: 0,
		max: 60_000,
		convert: true,
		default: 10_000,
		description:
			"Time limit for calls in flight at shutdown, in milliseconds; " +
			"by default, the time limit of a call whose contract sets none",
	},
	HOST: {
		type: "string",
		default: "127.0.0.1",
		description: "Address that the gateway and the port for health checks listen on",
	},
	PORT: {
		type: "number",
		integer: true,
		min: 0,
		max: 65535,
		convert: true,
		default: 3000,
		description: "Port that the gateway listens on",
	},
	HEALTH_PORT: {
		type: "number",
		integer: true,
		min: 0,
		max: 65535,
		convert: true,
		default: 0,
		description: "Port of the health endpoints and of /metrics in every process; 0 disables it",
	},
	PUBLIC_URL: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description:
			"Public address of the shop, for links in e-mails and the return from the page of a bank",
	},
	JWT_SECRET: {
		type: "string",
		min: 32,
		optional: true,
		description:
			"Key that signs access tokens and the tokens of guests' orders, at least 32 characters; " +
			"outside production, one is generated and stored in DATA_DIR",
	},
	JWT_SECRET_PREVIOUS: {
		type: "string",
		min: 32,
		optional: true,
		description: "Previous JWT_SECRET, still accepted during a rotation",
	},
	ADMIN_EMAIL: {
		type: "email",
		normalize: true,
		default: "admin@example.com",
		description:
			"Address of the administrator that the first start creates; later starts ignore it",
	},
	ADMIN_PASSWORD: {
		type: "string",
		min: 8,
		max: 72,
		optional: true,
		description:
			"Password of the administrator; outside production " +
			"and with the embedded Postgres, one is generated and stored in DATA_DIR",
	},
	BCRYPT_COST: {
		type: "number",
		integer: true,
		min: 4,
		max: 15,
		convert: true,
		default: 10,
		description: "Work factor of password hashes; each step doubles the time",
	},
	RATE_LIMIT_ENABLED: {
		type: "boolean",
		convert: true,
		default: true,
		description: "Reject requests above the rate limits with 429",
	},
	RATE_LIMIT_PER_MINUTE: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 1200,
		description: "Requests per minute of a user or an address",
	},
	RATE_LIMIT_STRICT_PER_MINUTE: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 30,
		description:
			"Requests per minute and address to routes that are subject to guessing or flooding: " +
			"sign-in, registration, passwords, carts of guests",
	},
	CORS_ORIGINS: {
		type: "string",
		default: "",
		description: "Allowed origins of browser requests, comma-separated",
	},
	TRUST_PROXY: {
		type: "number",
		integer: true,
		min: 0,
		max: 10,
		convert: true,
		default: 0,
		description: "Number of trusted proxies that append to X-Forwarded-For",
	},
	SMTP_URL: {
		type: "string",
		optional: true,
		pattern: "^smtps?://",
		description:
			"SMTP server, smtp://user:password@host:587; without it, messages are stored but not sent",
	},
	MAIL_FROM: {
		type: "string",
		default: "Shop <shop@example.com>",
		description: "Sender of e-mails",
	},
	EVENT_BACKOFF: {
		type: "string",
		default: "1,5,30,120,600",
		pattern: "^\\d+(\\.\\d+)?(,\\d+(\\.\\d+)?)*$",
		description:
			"Seconds before each retry of a failed event; after the last retry it becomes a dead letter",
	},
	EVENT_ACK_WAIT_MS: {
		type: "number",
		integer: true,
		min: 300,
		convert: true,
		default: 15_000,
		description:
			"Milliseconds without an acknowledgment after which NATS redelivers events to another node",
	},
	EVENT_REPLICAS: {
		type: "number",
		integer: true,
		min: 1,
		max: 5,
		convert: true,
		default: 1,
		description: "Number of NATS servers that store each event; 3 in a NATS cluster",
	},
	EVENT_STREAM_MB: {
		type: "number",
		min: 0.5,
		convert: true,
		default: 1024,
		description:
			"Size limit of the event stream in MiB, well below max_file_store of NATS; " +
			"beyond it, the oldest events are discarded and, if unread, read from the outboxes",
	},
	EVENT_RETENTION_HOURS: {
		type: "number",
		min: 1,
		convert: true,
		default: 168,
		description: "Hours that published events are retained for a replay",
	},
	ORDER_WAIT_MS: {
		type: "number",
		integer: true,
		min: 0,
		max: 9000,
		convert: true,
		default: 5000,
		description:
			"Milliseconds that POST /orders waits for the final status before it responds with `pending`",
	},
	SHOP_COUNTRY: {
		type: "string",
		default: "DE",
		pattern: "^[A-Z]{2}$",
		description:
			"Country (ISO 3166-1 alpha-2) of tax and shipping methods until a buyer gives an address",
	},
	REQUIRE_ADDRESS: {
		type: "boolean",
		convert: true,
		default: false,
		description:
			"Whether `POST /orders` requires a structured address once there are tax rates or shipping " +
			"methods; otherwise an order with a text, or without an address, is priced for SHOP_COUNTRY",
	},
	PRICES_INCLUDE_TAX: {
		type: "boolean",
		convert: true,
		default: true,
		description: "Whether prices include tax; otherwise it is added to them",
	},
	ROUNDING: {
		type: "enum",
		values: ["line", "total"],
		default: "line",
		description:
			"Rounding of discounts and taxes, half up: each line, or the lines with the same rate",
	},
	CART_TTL_DAYS: {
		type: "number",
		integer: true,
		min: 1,
		max: 3650,
		convert: true,
		default: 90,
		description:
			"Days without a change or a read by its owner after which a cart is deleted; " +
			"that of a guest after 30 days at most",
	},
	ORDER_DEADLINE_MS: {
		type: "number",
		integer: true,
		min: 1000,
		convert: true,
		default: 30000,
		description:
			"Milliseconds after which failing steps of an order are no longer retried, and the order " +
			"is cancelled",
	},
	PAYMENT_PROVIDER: {
		type: "string",
		default: "simulated",
		pattern: "^[a-z]+$",
		description: "Payment provider: `simulated` takes no money, `stripe` uses the STRIPE settings",
	},
	PAYMENT_WINDOW_MINUTES: {
		type: "number",
		min: 0.01,
		max: 10_080,
		convert: true,
		default: 30,
		description:
			"Minutes to confirm a payment, for example with 3-D Secure, until the order is cancelled",
	},
	STRIPE_SECRET_KEY: {
		type: "string",
		optional: true,
		pattern: "^(sk|rk)_",
		description: "Secret or restricted API key of Stripe, sk_… or rk_…",
	},
	STRIPE_WEBHOOK_SECRET: {
		type: "string",
		optional: true,
		pattern: "^whsec_[^,\\s]+(,whsec_[^,\\s]+)?$",
		description:
			"Signing secret of the Stripe webhook, whsec_…; during a rotation both, comma-separated",
	},
	STRIPE_API_URL: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description: "Address of a server that stands in for Stripe's API, for tests",
	},
	RESERVATION_SECONDS: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 900,
		description:
			"Seconds after which the order of a stock reservation or of a redemption is checked; " +
			"those of a lost order are released",
	},
	LEASE_MS: {
		type: "number",
		integer: true,
		min: 500,
		convert: true,
		default: 4000,
		description:
			"Milliseconds without a heartbeat after which another node takes over a node's open orders",
	},
	OTEL_EXPORTER_OTLP_ENDPOINT: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description:
			"OTLP/HTTP endpoint for traces, http://collector:4318; without it, no traces are recorded",
	},
	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description:
			"OTLP endpoint for traces including its path, for example http://collector:4318/v1/traces",
	},
	OTEL_EXPORTER_OTLP_HEADERS: {
		type: "string",
		optional: true,
		pattern: HEADERS,
		description: "Headers of OTLP requests, name=value,…, percent-encoded",
	},
	OTEL_EXPORTER_OTLP_TRACES_HEADERS: {
		type: "string",
		optional: true,
		pattern: HEADERS,
		description:
			"Headers of OTLP requests for traces; they take precedence over OTEL_EXPORTER_OTLP_HEADERS",
	},
	OTEL_EXPORTER_OTLP_PROTOCOL: {
		type: "enum",
		values: ["http/protobuf", "http/json"],
		default: "http/protobuf",
		description: "Encoding of traces",
	},
	OTEL_SERVICE_NAME: {
		type: "string",
		optional: true,
		description:
			"Service name in traces for all services of this process; by default, each has its own",
	},
	OTEL_RESOURCE_ATTRIBUTES: {
		type: "string",
		optional: true,
		pattern: HEADERS,
		description:
			"Additional attributes of this process in traces, name=value,…, " +
			"percent-encoded; deployment.environment is NODE_ENV by default",
	},
	OTEL_TRACES_SAMPLER: {
		type: "enum",
		values: [
			"always_on",
			"always_off",
			"traceidratio",
			"parentbased_always_on",
			"parentbased_always_off",
			"parentbased_traceidratio",
		],
		default: "parentbased_always_on",
		description:
			"Sampler of traces; the parentbased samplers follow the decision in a client's traceparent",
	},
	OTEL_TRACES_SAMPLER_ARG: {
		type: "number",
		min: 0,
		max: 1,
		convert: true,
		default: 1,
		description: "Share of requests that the traceidratio samplers record",
	},
	OTEL_SDK_DISABLED: {
		type: "boolean",
		convert: true,
		default: false,
		description: "Disable traces regardless of the other settings",
	},
});
