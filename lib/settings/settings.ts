import { shape } from "../contracts/schema.ts";

/** As W3C Baggage writes lists of names and values. */
const HEADERS = "^\\s*([^=,\\s]+\\s*=[^,]*(,\\s*|$))*$";

/** Every setting of a process. Text comes in, typed values go out; what is secret may also come from the file that NAME_FILE names. */
export const settings = shape({
	NODE_ENV: {
		type: "enum",
		values: ["development", "test", "production"],
		default: "development",
		description: "production refuses to start with a secret missing, short or well known",
	},
	NAMESPACE: {
		type: "string",
		default: "",
		pattern: "^[A-Za-z0-9_-]*$",
		description: "Clusters with different namespaces on one NATS do not see each other",
	},
	COLOR: {
		type: "string",
		default: "",
		pattern: "^[A-Za-z0-9_-]*$",
		description:
			"Of two versions on the same data, blue and green: nodes call only those of their own colour, and share all else",
	},
	NODEID: {
		type: "string",
		optional: true,
		pattern: "^[A-Za-z0-9._-]+$",
		description:
			"Name of this node, the host's unless given; a token that is new at each start is added",
	},
	SERVICES: {
		type: "string",
		default: "",
		description: "Which services this process runs, comma-separated; all of them when empty",
	},
	LOGLEVEL: {
		type: "enum",
		values: ["fatal", "error", "warn", "info", "debug", "trace"],
		optional: true,
		description:
			"The least important level that is logged; info unless given, warn where the start screen is shown",
	},
	LOG_FORMAT: {
		type: "enum",
		values: ["json", "pretty"],
		optional: true,
		description:
			"Lines of JSON, or lines for the eye; json in production and pretty elsewhere unless given",
	},
	ACCESS_LOG: {
		type: "enum",
		values: ["all", "errors", "off"],
		default: "all",
		description:
			"Which requests get a line: all, those that were refused or failed, or only those that failed for a fault of ours (off)",
	},
	TRANSPORTER: {
		type: "string",
		optional: true,
		pattern: "^nats://",
		description:
			"nats://host:4222 joins the cluster there; without it everything runs in this process",
	},
	CACHER: {
		type: "string",
		optional: true,
		pattern: "^rediss?://",
		description:
			"redis://host:6379; without it one process caches in its memory, and nodes of a cluster cache nothing",
	},
	DATABASE_URL: {
		type: "string",
		optional: true,
		pattern: "^postgres(ql)?://.*\\{service\\}",
		description:
			"postgres://{service}:password@host:5432/{service}; {service} becomes the service's name. Without it an embedded Postgres is started",
	},
	DATABASE_ADMIN_URL: {
		type: "string",
		optional: true,
		pattern: "^postgres(ql)?://",
		description:
			"Only for npm run migrate: a user who may create roles and databases; with it, missing ones are created",
	},
	DATABASE_POOL: {
		type: "number",
		integer: true,
		min: 1,
		max: 100,
		convert: true,
		default: 15,
		description: "The most connections that one service opens in one process",
	},
	SQL_ECHO: { type: "boolean", convert: true, default: false, description: "Log every statement" },
	DATA_DIR: {
		type: "string",
		default: ".data",
		description: "Folder of the embedded Postgres and of secrets that were made, not given",
	},
	DRAIN_MS: {
		type: "number",
		integer: true,
		min: 0,
		max: 60_000,
		convert: true,
		default: 3000,
		description: "How long what is under way may take to finish when the process is told to end",
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
		description:
			"Port that answers /health/live, /health/ready and /metrics whatever services this process runs; 0 for none",
	},
	PUBLIC_URL: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description: "The shop's address as customers see it, for links in e-mails",
	},
	JWT_SECRET: {
		type: "string",
		min: 32,
		optional: true,
		description:
			"Signs access tokens, at least 32 characters; outside production one is made and kept in DATA_DIR",
	},
	JWT_SECRET_PREVIOUS: {
		type: "string",
		min: 32,
		optional: true,
		description: "Accepted beside JWT_SECRET while that is being changed",
	},
	ADMIN_EMAIL: {
		type: "email",
		normalize: true,
		default: "admin@example.com",
		description:
			"Address of the administrator that a start creates if the shop has none; later starts ignore it",
	},
	ADMIN_PASSWORD: {
		type: "string",
		min: 8,
		max: 72,
		optional: true,
		description:
			"The administrator's password; with the embedded Postgres, outside production, one is made and kept in DATA_DIR",
	},
	BCRYPT_COST: {
		type: "number",
		integer: true,
		min: 4,
		max: 15,
		convert: true,
		default: 10,
		description: "Work factor of password hashes",
	},
	RATE_LIMIT_ENABLED: {
		type: "boolean",
		convert: true,
		default: true,
		description: "Refuse requests that come too often, with 429",
	},
	RATE_LIMIT_PER_MINUTE: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 1200,
		description: "Requests of one user, or of one address, in a minute",
	},
	RATE_LIMIT_STRICT_PER_MINUTE: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 30,
		description:
			"The same per address for what is worth guessing or flooding: sign-in, registration, passwords",
	},
	CORS_ORIGINS: {
		type: "string",
		default: "",
		description: "Origins that browsers may call from, comma-separated",
	},
	TRUST_PROXY: {
		type: "number",
		integer: true,
		min: 0,
		max: 10,
		convert: true,
		default: 0,
		description: "How many proxies in front add to X-Forwarded-For",
	},
	SMTP_URL: {
		type: "string",
		optional: true,
		pattern: "^smtps?://",
		description:
			"smtp://user:password@host:587 sends e-mail; without it messages are kept and shown through the API only",
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
			"Seconds before each repetition of a failed event; after the last it is a dead letter",
	},
	EVENT_ACK_WAIT_MS: {
		type: "number",
		integer: true,
		min: 300,
		convert: true,
		default: 15_000,
		description:
			"How long NATS waits for word of a node that holds events before it gives them to another node",
	},
	EVENT_REPLICAS: {
		type: "number",
		integer: true,
		min: 1,
		max: 5,
		convert: true,
		default: 1,
		description: "How many NATS servers keep each event; 3 where NATS is a cluster",
	},
	EVENT_STREAM_MB: {
		type: "number",
		min: 0.5,
		convert: true,
		default: 1024,
		description:
			"Size of the stream that carries events, in MiB, well below NATS' max_file_store; beyond it the oldest are discarded, and read from the outboxes where needed",
	},
	EVENT_RETENTION_HOURS: {
		type: "number",
		min: 1,
		convert: true,
		default: 168,
		description: "How long published events are kept for a replay",
	},
	ORDER_WAIT_MS: {
		type: "number",
		integer: true,
		min: 0,
		max: 9000,
		convert: true,
		default: 5000,
		description: "How long POST /orders waits for the order to settle before it answers `pending`",
	},
	ORDER_DEADLINE_MS: {
		type: "number",
		integer: true,
		min: 1000,
		convert: true,
		default: 30000,
		description: "How long an order's steps are tried before the order is cancelled",
	},
	RESERVATION_SECONDS: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 900,
		description:
			"How long stock is held before its order is asked after; that of a lost order is then given back",
	},
	LEASE_MS: {
		type: "number",
		integer: true,
		min: 500,
		convert: true,
		default: 4000,
		description: "How long a silent node keeps its open orders before another takes them over",
	},
	OTEL_EXPORTER_OTLP_ENDPOINT: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description:
			"http://collector:4318 receives traces by OTLP over HTTP; without it none are made",
	},
	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
		type: "string",
		optional: true,
		pattern: "^https?://",
		description: "The same with its path, http://collector:4318/v1/traces for instance",
	},
	OTEL_EXPORTER_OTLP_HEADERS: {
		type: "string",
		optional: true,
		pattern: HEADERS,
		description: "Sent along with traces, name=value,…, percent-encoded",
	},
	OTEL_EXPORTER_OTLP_TRACES_HEADERS: {
		type: "string",
		optional: true,
		pattern: HEADERS,
		description: "More of them; these win",
	},
	OTEL_EXPORTER_OTLP_PROTOCOL: {
		type: "enum",
		values: ["http/protobuf", "http/json"],
		default: "http/protobuf",
		description: "How traces are encoded",
	},
	OTEL_SERVICE_NAME: {
		type: "string",
		optional: true,
		description:
			"The name of all that this process runs in traces; each service has its own unless given",
	},
	OTEL_RESOURCE_ATTRIBUTES: {
		type: "string",
		optional: true,
		pattern: HEADERS,
		description:
			"What else is to be known of this process in traces, name=value,…, percent-encoded; deployment.environment is NODE_ENV unless given",
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
			"Which requests are traced; parentbased leaves it to a client that sends a traceparent",
	},
	OTEL_TRACES_SAMPLER_ARG: {
		type: "number",
		min: 0,
		max: 1,
		convert: true,
		default: 1,
		description: "The share of requests that traceidratio traces",
	},
	OTEL_SDK_DISABLED: {
		type: "boolean",
		convert: true,
		default: false,
		description: "Make no traces, whatever else is set",
	},
});
