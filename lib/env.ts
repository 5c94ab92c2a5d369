import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import FastestValidator from "fastest-validator";
import type { ServiceBroker } from "moleculer";
import { type Infer, shape } from "./schema.ts";
import { StartError } from "./start-error.ts";

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
	NODEID: {
		type: "string",
		optional: true,
		pattern: "^[A-Za-z0-9._-]+$",
		description: "Name of this node, the host's unless given; a token that is new at each start is added",
	},
	SERVICES: { type: "string", default: "", description: "Which services this process runs, comma-separated; all of them when empty" },
	LOGLEVEL: {
		type: "enum",
		values: ["fatal", "error", "warn", "info", "debug", "trace"],
		optional: true,
		description: "The least important level that is logged; info unless given, warn where the start screen is shown",
	},
	TRANSPORTER: {
		type: "string",
		optional: true,
		pattern: "^nats://",
		description: "nats://host:4222 joins the cluster there; without it everything runs in this process",
	},
	CACHER: { type: "string", optional: true, pattern: "^rediss?://", description: "redis://host:6379; without it caches live in memory" },
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
		description: "Only for npm run migrate: a user who may create roles and databases; with it, missing ones are created",
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
	DATA_DIR: { type: "string", default: ".data", description: "Folder of the embedded Postgres and of secrets that were made, not given" },
	DRAIN_MS: {
		type: "number",
		integer: true,
		min: 0,
		max: 60_000,
		convert: true,
		default: 3000,
		description: "How long what is under way may take to finish when the process is told to end",
	},
	HOST: { type: "string", default: "127.0.0.1", description: "Address that the gateway and the port for health checks listen on" },
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
		description: "Port that answers /health/live and /health/ready whatever services this process runs; 0 for none",
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
		description: "Signs access tokens, at least 32 characters; outside production one is made and kept in DATA_DIR",
	},
	JWT_SECRET_PREVIOUS: { type: "string", min: 32, optional: true, description: "Accepted beside JWT_SECRET while that is being changed" },
	ADMIN_EMAIL: { type: "email", default: "admin@example.com", description: "The administrator whom the first start creates" },
	ADMIN_PASSWORD: {
		type: "string",
		min: 8,
		max: 72,
		optional: true,
		description: "The administrator's password; with the embedded Postgres, outside production, one is made and kept in DATA_DIR",
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
	RATE_LIMIT_ENABLED: { type: "boolean", convert: true, default: true, description: "Refuse requests that come too often, with 429" },
	RATE_LIMIT_PER_MINUTE: {
		type: "number",
		integer: true,
		min: 1,
		convert: true,
		default: 1200,
		description: "Of one user, or one address",
	},
	RATE_LIMIT_STRICT_PER_MINUTE: { type: "number", integer: true, min: 1, convert: true, default: 30, description: "Sign-ins and the like" },
	CORS_ORIGINS: { type: "string", default: "", description: "Origins that browsers may call from, comma-separated" },
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
		description: "smtp://user:password@host:587 sends e-mail; without it messages are kept and shown through the API only",
	},
	MAIL_FROM: { type: "string", default: "Shop <shop@example.com>", description: "Sender of e-mails" },
	EVENT_BACKOFF: {
		type: "string",
		default: "1,5,30,120,600",
		pattern: "^\\d+(\\.\\d+)?(,\\d+(\\.\\d+)?)*$",
		description: "Seconds before each repetition of a failed event; after the last it is a dead letter",
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
	LEASE_MS: {
		type: "number",
		integer: true,
		min: 500,
		convert: true,
		default: 4000,
		description: "How long a silent node keeps its open orders before another takes them over",
	},
});
export type Env = Infer<typeof settings>;

const Validator = FastestValidator as unknown as typeof FastestValidator.default; // its typings and its module disagree
const check = new Validator({ useNewCustomCheckerFunction: true }).compile(structuredClone(settings) as never);

/**
 * Reads the settings out of `source` (names as above; an empty value counts as absent).
 * @throws StartError naming each variable that is wrong and what it should be
 */
export function readEnv(source: Readonly<Record<string, string | undefined>> = process.env): Env {
	const values: Record<string, unknown> = {};
	for (const name of Object.keys(settings)) {
		const text = source[name] || fromFile(source[`${name}_FILE`], name);
		if (text) values[name] = text;
	}
	const verdict = check(values) as true | { field: string; message: string }[];
	if (verdict !== true) {
		const wrong = verdict.map(
			({ field, message }) => `${field}: ${message.replace(/^The '\w+' (field )?/, "it ")} (${settings[field as keyof Env]?.description})`,
		);
		throw new StartError(`Wrong setting in the environment. ${wrong.join("; ")}`);
	}
	return values as Env;
}

function fromFile(path: string | undefined, name: string): string | undefined {
	if (!path) return undefined;
	try {
		return readFileSync(path, "utf8").trim();
	} catch (error) {
		throw new StartError(`${name}_FILE names a file that cannot be read: ${(error as Error).message}`);
	}
}

const envs = new WeakMap<object, Env>();
/** Gives a broker settings of its own, so that several can live in one process. They are kept out of its options, which other nodes see. */
export const provideEnv = (broker: object, env: Env): void => void envs.set(broker, env);
/** The settings of the process, or those that this broker was given. */
export function envOf(broker: ServiceBroker | object): Env {
	const env = envs.get(broker) ?? readEnv();
	envs.set(broker, env);
	return env;
}

/** Where a user's programs keep what can be made anew (XDG Base Directory Specification). */
export const cacheFolder = (): string => process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
