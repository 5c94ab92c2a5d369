import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { COUNTRIES } from "postal-code-checker";
import { checkSync } from "recheck";
import type { Rule, Shape } from "../lib/contracts/schema.ts";
import { settings } from "../lib/settings/settings.ts";
import { readContracts } from "../tools/documents/openapi.ts";
import { root } from "./support/databases.ts";
import {
	type ComputedPattern,
	filesOfPackage,
	type Pattern,
	patternsOf,
} from "./support/patterns.ts";

const PROJECT = [
	"lib/**/*.ts",
	"services/**/*.ts",
	"mixins/*.ts",
	"middlewares/*.ts",
	"moleculer.config.ts",
];
/** Libraries that process clients' input: requests, rows, log lines and e-mails. */
const LIBRARIES = [
	...["moleculer", "moleculer-web", "fastest-validator", "helmet", "qs", "body-parser"],
	...["jsonwebtoken", "jws", "jwa", "ms", "safe-buffer", "bcryptjs", "uuid"],
	...["proxy-addr", "forwarded", "ipaddr.js", "rate-limiter-flexible"],
	...[
		"pg",
		"pg-protocol",
		"pg-types",
		"postgres-array",
		"sequelize",
		"moleculer-db",
		"moleculer-db-adapter-sequelize",
	],
	...["ioredis", "redis-parser", "nats", "pino", "pino-pretty", "nodemailer"],
	...["postal-code-checker", "cookie"],
];

/** The checker's limits count iterations, not time: the same result on a busy machine. */
const CHECKER = { timeout: null, attackTimeout: null, incubationTimeout: null } as const;
/** Maximum steps of the matcher for one text; 1e6 steps take about 5 ms. */
const MAX_STEPS = 1e6;
/** Patterns that are not linear, by the end of the file's path. */
const EXCEPTIONS: readonly {
	readonly file: string;
	readonly source: RegExp;
	/** Maximum length of a text from a client; 0 if the pattern receives none. */
	readonly maxLength: number;
	readonly reason: string;
}[] = [
	{
		file: "lib/persistence/migration.ts",
		source: /^\\bcreate/,
		maxLength: 0,
		reason: "reads migrations",
	},
	{
		file: "ms/index.js",
		source: /^\^\(/,
		maxLength: 0,
		reason: "reads the durations that are passed to jsonwebtoken; at most 100 characters",
	},
	{
		file: "ipaddr.js/lib/ipaddr.js",
		source: /^%\.\+\$$/,
		maxLength: 60,
		reason: "receives addresses that node:net accepts",
	},
	{
		file: "fastest-validator/lib/rules/email.js",
		source: /^\^\\S/,
		maxLength: 0,
		reason: "lib/contracts/schema.ts replaces this rule",
	},
	{
		file: "nodemailer/dist/cjs/nodemailer.js",
		source: /^\\\/\+\$$/,
		maxLength: 0,
		reason: "reads settings of test accounts",
	},
	{
		file: "nodemailer/dist/cjs/smtp-connection/index.js",
		source: /^\^334/,
		maxLength: 0,
		reason: "reads the mail server's greeting",
	},
	{
		file: "nodemailer/dist/cjs/mime-funcs/index.js",
		source: /^\(\\s\+\)/,
		maxLength: 76,
		reason: "receives one folded line",
	},
	{
		file: "nats/lib/nats-base-client/authenticator.js",
		source: /./,
		maxLength: 0,
		reason: "reads a credentials file",
	},
	{
		file: "nats/lib/nats-base-client/protocol.js",
		source: /^\^INFO/,
		maxLength: 0,
		reason: "reads the NATS server's greeting",
	},
	{
		file: "pino-pretty/lib/utils/interpret-conditionals.js",
		source: /^\{if/,
		maxLength: 0,
		reason: "reads message formats; ours is a function",
	},
	{
		file: "sequelize/lib/sql-string.js",
		source: /^:\+/,
		maxLength: 0,
		reason: "reads statements, without their values",
	},
	{
		file: "sequelize/lib/dialects/abstract/query-generator.js",
		source: /^\^\\s\*/,
		maxLength: 0,
		reason: "reads column names",
	},
	{
		file: "sequelize/lib/dialects/postgres/query-generator.js",
		source: /REFERENCES/,
		maxLength: 0,
		reason: "reads column definitions",
	},
	{
		file: "sequelize/lib/dialects/postgres/query.js",
		source: /^ON |^FOREIGN KEY/,
		maxLength: 0,
		reason: "reads index definitions",
	},
	{
		file: "sequelize/lib/dialects/postgres/query.js",
		source: /^Key /,
		maxLength: 0,
		reason: "matches at the first character of a text that Postgres writes",
	},
	{
		file: "moleculer/src/transporters/nats.js",
		source: /./,
		maxLength: 0,
		reason: "reads names of events that services subscribe to",
	},
	{
		file: "moleculer/src/loggers/file.js",
		source: /./,
		maxLength: 0,
		reason: "belongs to an unused logger",
	},
];
/**
 * Files that compute patterns, and the reason why none receives a long text. The patterns of
 * contracts and settings are tested below.
 */
const COMPUTED: Readonly<Record<string, string>> = {
	"lib/contracts/validation-rules.ts": "the patterns of contracts",
	"lib/observability/logging/redact.ts": "lib/observability/logging/redact.test.ts measures them",
	"ipaddr.js/lib/ipaddr.js": "receive addresses that node:net accepts: at most 60 characters",
	"fastest-validator/lib/rules/string.js": "the patterns of contracts",
	"fastest-validator/lib/rules/currency.js": "a rule that contracts cannot use",
	"moleculer-web/src/index.js": "CORS, which cors.ts replaces, and separators of service names",
	"moleculer/src/serializers/json-extended.js": "an unused serializer",
	"nodemailer/dist/cjs/mime-node/index.js": "atoms separated by dots, which are mutually exclusive",
	"nodemailer/dist/cjs/mime-funcs/index.js": "line widths",
	"nodemailer/dist/cjs/base64/index.js": "line widths",
	"pino-pretty/lib/utils/interpret-conditionals.js": "reads message formats; ours is a function",
	"postal-code-checker/dist/index.cjs.js": "the patterns of countries, which are tested below",
	"sequelize/lib/utils.js": "quotes around column names",
	"sequelize/lib/utils/validator-extras.js": "validators, which the models do not use",
	"sequelize/lib/dialects/postgres/query.js": "names of statement parameters",
	"moleculer/src/utils.js": "names of events and services that services subscribe to",
};

/** Degree of the polynomial by which matching time grows with the text; infinite if exponential. */
function growth({ source, flags }: Pick<Pattern, "source" | "flags">): number {
	const result = checkSync(source, flags, CHECKER);
	if (result.status === "safe") return 1;
	return result.status === "vulnerable" && result.complexity.type === "polynomial"
		? result.complexity.degree
		: Number.POSITIVE_INFINITY;
}
/** Without a repetition, a pattern is linear. */
const REPETITION = /[*+{]/;
const degrees = new Map<string, number>();
function degreeOf({ source, flags }: Pick<Pattern, "source" | "flags">): number {
	const key = `${source}/${flags}`;
	const degree = REPETITION.test(source) ? (degrees.get(key) ?? growth({ source, flags })) : 1;
	degrees.set(key, degree);
	return degree;
}
const exceptionFor = ({ file, source }: Pattern) =>
	EXCEPTIONS.find((one) => file.endsWith(one.file) && one.source.test(source));
/** Patterns that take too long for the longest text that they can receive. */
const tooSlow = (patterns: readonly Pattern[]): string[] =>
	patterns
		.filter((pattern) => {
			const exception = exceptionFor(pattern);
			if (exception?.maxLength === 0) return false;
			const degree = degreeOf(pattern);
			return degree > 1 && !(exception && exception.maxLength ** degree <= MAX_STEPS);
		})
		.map(({ file, line, source, flags }) => `${file}:${line} /${source}/${flags}`);
const uncovered = (computed: readonly ComputedPattern[]) =>
	computed.filter(
		({ file, text }) =>
			!Object.keys(COMPUTED).some((end) => file.endsWith(end)) &&
			!/^(new )?RegExp\(['"][^'"]*['"]\)$/.test(text),
	);

const projectFiles = globSync(PROJECT, { cwd: root })
	.filter((file) => !file.endsWith(".test.ts"))
	.map((file) => join(root, file));

test("recheck detects patterns that were attacked before", () => {
	expect(degreeOf({ source: "^\\S+@\\S+\\.\\S+$", flags: "" })).toBe(3);
	expect(degreeOf({ source: "\\w*(?:passw|secret)\\w*=", flags: "gi" })).toBeGreaterThanOrEqual(2);
});

test("every regular expression of the project is linear", () => {
	const { patterns, computed } = patternsOf(projectFiles);
	expect(patterns.length).toBeGreaterThan(50);
	expect(tooSlow(patterns)).toEqual([]);
	expect(uncovered(computed)).toEqual([]);
});

test.each(LIBRARIES)(
	"every regular expression of %s is linear, or receives only short texts from clients",
	(name) => {
		const { patterns, computed } = patternsOf(filesOfPackage(name));
		expect(tooSlow(patterns)).toEqual([]);
		expect(uncovered(computed)).toEqual([]);
	},
);

test("every exception applies to an existing pattern", () => {
	const files = [...projectFiles, ...LIBRARIES.flatMap(filesOfPackage)];
	const { patterns, computed } = patternsOf(files);
	const stale = EXCEPTIONS.filter(
		({ file, source }) =>
			!patterns.some((pattern) => pattern.file.endsWith(file) && source.test(pattern.source)),
	);
	expect(stale).toEqual([]);
	const computing = Object.keys(COMPUTED);
	expect(computing.filter((end) => !computed.some(({ file }) => file.endsWith(end)))).toEqual([]);
});

test("every pattern of a contract or setting is linear", async () => {
	const shapes: Shape[] = [settings];
	for (const { actions, events = {} } of await readContracts()) {
		shapes.push(...Object.values(events));
		for (const { params, returns } of Object.values(actions)) shapes.push(params, { returns });
	}
	const sources = [...new Set(shapes.flatMap((shape) => Object.values(shape).flatMap(patternsIn)))];
	expect(sources.length).toBeGreaterThan(5);
	expect(sources.filter((source) => degreeOf({ source, flags: "" }) > 1)).toEqual([]);
});

test("every pattern of a country's postal codes is linear", () => {
	// In slashes.
	const sources = Object.values(COUNTRIES).flatMap(({ patterns }) =>
		patterns.map((pattern) => pattern.slice(1, -1)),
	);
	expect(sources.length).toBeGreaterThan(100);
	expect(sources.filter((source) => degreeOf({ source, flags: "" }) > 1)).toEqual([]);
});

function patternsIn(rule: Rule): string[] {
	if (rule.type === "array") return patternsIn(rule.items);
	if (rule.type === "object") return Object.values(rule.props).flatMap(patternsIn);
	return rule.type === "string" && rule.pattern !== undefined ? [rule.pattern] : [];
}
