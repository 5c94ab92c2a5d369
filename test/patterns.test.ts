import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { checkSync } from "recheck";
import type { Rule, Shape } from "../lib/contracts/schema.ts";
import { settings } from "../lib/settings/settings.ts";
import { readContracts } from "../tools/documents/openapi.ts";
import { root } from "./support/databases.ts";
import { filesOfPackage, type Pattern, patternsOf } from "./support/patterns.ts";

const OURS = [
	"lib/**/*.ts",
	"services/**/*.ts",
	"mixins/*.ts",
	"middlewares/*.ts",
	"moleculer.config.ts",
];
/** Libraries that get to see what a client sends: its request, what is stored of it, what is logged of it and what is mailed of it. */
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
	...["ioredis", "redis-parser", "nats", "pino", "nodemailer"],
];

/** Milliseconds for one pattern. */
const PATIENCE = 20_000;
/** Steps of the matcher that one text may cost; 1e6 steps take about 5 ms. */
const MOST_STEPS = 1e6;
/** Patterns that are not linear, by the end of the file's name, and the longest text that they get from a client; 0 where they get none. */
const EXCEPTIONS: readonly {
	readonly file: string;
	readonly source: RegExp;
	readonly longest: number;
	readonly reason: string;
}[] = [
	{
		file: "lib/persistence/migration.ts",
		source: /^\\bcreate/,
		longest: 0,
		reason: "reads migrations",
	},
	{
		file: "lodash.includes/index.js",
		source: /./,
		longest: 0,
		reason: "reads options of jsonwebtoken",
	},
	{
		file: "ms/index.js",
		source: /^\^\(/,
		longest: 0,
		reason: "reads durations that we pass to jsonwebtoken; has a limit of 100",
	},
	{
		file: "ipaddr.js/lib/ipaddr.js",
		source: /^%\.\+\$$/,
		longest: 60,
		reason: "gets what node:net takes for an address",
	},
	{
		file: "fastest-validator/lib/rules/email.js",
		source: /^\^\\S/,
		longest: 0,
		reason: "lib/contracts/schema.ts replaces this rule",
	},
	{
		file: "fastest-validator/dist/index.js",
		source: /^\^\\S\+@/,
		longest: 0,
		reason: "lib/contracts/schema.ts replaces this rule",
	},
	{
		file: "nodemailer/dist/cjs/nodemailer.js",
		source: /^\\\/\+\$$/,
		longest: 0,
		reason: "reads settings of test accounts",
	},
	{
		file: "nodemailer/dist/cjs/smtp-connection/index.js",
		source: /^\^334/,
		longest: 0,
		reason: "reads the mail server's greeting",
	},
	{
		file: "nodemailer/dist/cjs/mime-funcs/index.js",
		source: /^\(\\s\+\)/,
		longest: 76,
		reason: "gets one folded line",
	},
	{
		file: "nats/lib/nats-base-client/authenticator.js",
		source: /./,
		longest: 0,
		reason: "reads a credentials file",
	},
	{
		file: "nats/lib/nats-base-client/protocol.js",
		source: /^\^INFO/,
		longest: 0,
		reason: "reads the NATS server's greeting",
	},
	{
		file: "sequelize/lib/sql-string.js",
		source: /^:\+/,
		longest: 0,
		reason: "reads statements, without their values",
	},
	{
		file: "sequelize/lib/dialects/abstract/query-generator.js",
		source: /^\^\\s\*/,
		longest: 0,
		reason: "reads names of columns",
	},
	{
		file: "sequelize/lib/dialects/postgres/query-generator.js",
		source: /REFERENCES/,
		longest: 0,
		reason: "reads definitions of columns",
	},
	{
		file: "sequelize/lib/dialects/postgres/query.js",
		source: /^ON |^FOREIGN KEY/,
		longest: 0,
		reason: "reads definitions of indexes",
	},
	{
		file: "sequelize/lib/dialects/postgres/query.js",
		source: /^Key /,
		longest: 0,
		reason: "matches at the first character: Postgres writes it",
	},
	{
		file: "moleculer/src/transporters/nats.js",
		source: /./,
		longest: 0,
		reason: "reads names of events that services subscribe to",
	},
	{
		file: "moleculer/src/loggers/file.js",
		source: /./,
		longest: 0,
		reason: "belongs to a logger that is not used",
	},
];
/** Files that compute patterns, and why none of them gets a long text. Those of contracts and settings are tested below. */
const COMPUTED: Readonly<Record<string, string>> = {
	"lib/contracts/validation-rules.ts": "the patterns of contracts",
	"lib/observability/logging/redact.ts": "lib/observability/logging/redact.test.ts measures these",
	"ipaddr.js/lib/ipaddr.js": "get what node:net takes for an address: 60 characters at most",
	"fastest-validator/lib/rules/string.js": "the patterns of contracts",
	"fastest-validator/dist/index.js":
		"the patterns of contracts, and of a rule for currencies that contracts cannot have",
	"fastest-validator/lib/rules/currency.js": "a rule that contracts cannot have",
	"moleculer-web/src/index.js": "its CORS, which cors.ts replaces, and separators of service names",
	"moleculer/src/serializers/json-extended.js": "a serializer that is not used",
	"nodemailer/dist/cjs/mime-node/index.js":
		"atoms with dots between them, which exclude each other",
	"nodemailer/dist/cjs/mime-funcs/index.js": "widths of lines",
	"nodemailer/dist/cjs/base64/index.js": "widths of lines",
	"sequelize/lib/utils.js": "quotes around names of columns",
	"sequelize/lib/utils/validator-extras.js": "validators of models, which have none",
	"sequelize/lib/dialects/postgres/query.js": "names of a statement's parameters",
	"moleculer/src/utils.js": "names of events and services that services subscribe to",
};

/** How the time of a pattern grows with the length of the text, by a proof or by generated attacks. */
function growth({ source, flags }: Pick<Pattern, "source" | "flags">): number {
	const result = checkSync(source, flags, { timeout: PATIENCE });
	if (result.status === "safe") return 1;
	return result.status === "vulnerable" && result.complexity.type === "polynomial"
		? result.complexity.degree
		: Number.POSITIVE_INFINITY;
}
const grown = new Map<string, number>();
function degreeOf({ source, flags }: Pick<Pattern, "source" | "flags">): number {
	const key = `${source}/${flags}`;
	const degree = grown.get(key) ?? growth({ source, flags });
	grown.set(key, degree);
	return degree;
}
const exceptionFor = ({ file, source }: Pattern) =>
	EXCEPTIONS.find((one) => file.endsWith(one.file) && one.source.test(source));
/** Those that take too long for the longest text that they can get. */
const tooSlow = (patterns: readonly Pattern[]): string[] =>
	patterns
		.filter((pattern) => {
			const exception = exceptionFor(pattern);
			if (exception?.longest === 0) return false;
			const degree = degreeOf(pattern);
			return degree > 1 && !(exception && exception.longest ** degree <= MOST_STEPS);
		})
		.map(({ file, line, source, flags }) => `${file}:${line} /${source}/${flags}`);
const uncovered = (computed: readonly { file: string; line: number; text: string }[]) =>
	computed.filter(
		({ file, text }) =>
			!Object.keys(COMPUTED).some((end) => file.endsWith(end)) &&
			!/^(new )?RegExp\(['"][^'"]*['"]\)$/.test(text),
	);

const ours = globSync(OURS, { cwd: root }).filter((file) => !file.endsWith(".test.ts"));

test("recheck finds the patterns that were attacked", () => {
	expect(degreeOf({ source: "^\\S+@\\S+\\.\\S+$", flags: "" })).toBe(3);
	expect(degreeOf({ source: "\\w*(?:passw|secret)\\w*=", flags: "gi" })).toBeGreaterThanOrEqual(2);
});

test("every regular expression of the project is linear", () => {
	const { patterns, computed } = patternsOf(ours.map((file) => join(root, file)));
	expect(patterns.length).toBeGreaterThan(50);
	expect(tooSlow(patterns)).toEqual([]);
	expect(uncovered(computed)).toEqual([]);
}, 120_000);

test.each(LIBRARIES)(
	"every regular expression of %s is linear, or only gets short texts from clients",
	(name) => {
		const { patterns, computed } = patternsOf(filesOfPackage(name));
		expect(tooSlow(patterns)).toEqual([]);
		expect(uncovered(computed)).toEqual([]);
	},
	120_000,
);

test("every pattern of a contract or setting is linear", async () => {
	const shapes: Shape[] = [settings];
	for (const { actions, events = {} } of await readContracts()) {
		shapes.push(...Object.values(events));
		for (const { params, returns } of Object.values(actions)) shapes.push(params, { returns });
	}
	const sources = [...new Set(shapes.flatMap((shape) => Object.values(shape).flatMap(patternsIn)))];
	expect(sources.length).toBeGreaterThan(5);
	expect(sources.filter((source) => degreeOf({ source, flags: "" }) > 1)).toEqual([]);
}, 120_000);

function patternsIn(rule: Rule): string[] {
	if (rule.type === "array") return patternsIn(rule.items);
	if (rule.type === "object") return Object.values(rule.props).flatMap(patternsIn);
	return rule.type === "string" && rule.pattern !== undefined ? [rule.pattern] : [];
}
