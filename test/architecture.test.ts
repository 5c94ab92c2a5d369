import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { ActionContract, Contract } from "../lib/contracts/contract.ts";
import { commonErrors } from "../lib/contracts/errors.ts";
import { serviceNames } from "../lib/settings/node.ts";
import { filesIn, importCycles, importViolations, LIB_FOLDERS, read } from "./support/imports.ts";
import { longLines } from "./support/line-width.ts";

const root = join(import.meta.dirname, "..");
const MAX_LINES = 325;
/** Higher, because the tests in a file are independent of each other. */
const MAX_TEST_LINES = 520;
/** Lists of data, which may have any length. */
const LISTS = [
	"lib/settings/settings.ts",
	"scripts/demo-catalogue.ts",
	"test/e2e/authorization.table.ts",
];
/** Generated documents, with one line per setting or metric. */
const GENERATED = ["docs/configuration.md", "docs/metrics.md"];
/** Names of services that have a general meaning in lib. */
const GENERAL_TERMS = ["api", "auth"];
/** Files and folders of lib that may name a domain, each with its reason. */
const EXEMPT: Record<string, string> = {
	"lib/contracts/outcome.ts": "all set-based commands between services concern orders",
	"lib/pricing/": "a price combines the data of several domains, and several domains calculate it",
};
/** Files of a service without its name as prefix. The gateway has several. */
const UNPREFIXED = /^services\/(api\/|orders\/place-order\.(test\.)?ts$)/;
const isExempt = (file: string) => Object.keys(EXEMPT).some((path) => file.startsWith(path));

const names = serviceNames(join(root, "services"));
const isTest = (file: string) => /\.test\.ts$|\/test\//.test(file);
const runtime = ["lib", "mixins", "middlewares", "services"];
const programs = ["tools", "scripts"];
/** Without dist, which is generated. */
const clients = ["clients/typescript/src", "clients/typescript/test"];
const sourcesIn = (...folders: string[]) =>
	filesIn(root, ...folders)
		.filter((file) => /\.tsx?$/.test(file) && !isTest(file))
		.map((file) => read(root, file));
const sources = sourcesIn(...runtime);
/** Code and documents of the folders that people write, with tests. */
const writtenFiles = filesIn(
	root,
	...runtime,
	...programs,
	...clients,
	"console/src",
	"examples",
	"test",
);
const everySource = [
	...sources,
	...sourcesIn(...programs, ...clients, "console/src"),
	read(root, "moleculer.config.ts"),
];
const contracts = await Promise.all(
	sources
		.filter(({ file }) => file.endsWith(".contract.ts"))
		.map(async ({ file }) => ({ file, exports: Object.values(await import(`../${file}`)) })),
);
const isContract = (value: unknown): value is Contract =>
	typeof value === "object" && value !== null && "actions" in value;
const actions = contracts.flatMap(({ exports }) =>
	exports.filter(isContract).flatMap((contract) =>
		Object.entries(contract.actions).map(([name, action]) => ({
			name: `${contract.name}.${name}`,
			action,
		})),
	),
);

describe("imports", () => {
	test("every file imports only what its layer allows", () => {
		const testsOfLib = filesIn(root, "lib").filter(isTest);
		const files = [...everySource, ...testsOfLib.map((file) => read(root, file))];
		expect(files.flatMap(({ file, text }) => importViolations(file, text))).toEqual([]);
	});

	test.each([
		["lib/async/micro-batch.ts", `import { x } from "../../mixins/database.mixin.ts";`],
		["lib/async/micro-batch.ts", `import { x } from "../saga/saga.ts";`],
		[
			"lib/async/micro-batch.ts",
			`const x = await import("../../services/orders/orders.contract.ts");`,
		],
		[
			"mixins/database.mixin.ts",
			`import type { Order } from "../services/orders/orders.contract.ts";`,
		],
		["services/api/routing/routes.ts", `import type {} from "../../orders/orders.contract.ts";`],
		["services/orders/orders.contract.ts", `import { users } from "../users/users.contract.ts";`],
		["services/orders/orders.contract.ts", `import pg from "pg";`],
		["services/orders/orders.rules.ts", `import {\n\tErrors,\n} from "moleculer";`],
		["services/orders/orders.rules.ts", `import { save } from "./saga/store.ts";`],
		["services/orders/audit/rules.ts", `import { save } from "../saga/store.ts";`],
		["services/orders/orders.models.ts", `import { Errors } from "moleculer";`],
		["services/orders/orders.service.ts", `import "../users/users.contract.ts";`],
		["services/orders/orders.service.ts", `import { find } from "../users/users.rules.ts";`],
		["services/orders/saga/steps.ts", `export { find } from "../../users/users.service.ts";`],
		["lib/async/poller.test.ts", `import { x } from "../../tools/fuzz/fuzz.ts";`],
		["lib/caching/test/x.ts", `import type { X } from "../../../tools/fuzz/fuzz.ts";`],
		["clients/typescript/src/pages.ts", `import type { Agent } from "undici";`],
		["clients/typescript/src/pages.ts", `import { x } from "../../../lib/async/backoff.ts";`],
		[
			"clients/typescript/src/contracts.ts",
			`import { orders } from "../../../services/orders/orders.contract.ts";`,
		],
		["console/src/app.tsx", `import { x } from "../../lib/async/poller.ts";`],
		["console/src/app.tsx", `import { orders } from "../../services/orders/orders.contract.ts";`],
		["tools/fuzz/cli.ts", `import { find } from "../../services/users/users.service.ts";`],
	])("in %s the rules reject %j", (file, source) => {
		expect(importViolations(file, source)).toHaveLength(1);
	});

	test("form no cycle", () => {
		expect(importCycles(everySource).map((cycle) => cycle.join(" > "))).toEqual([]);
	});

	test("a cycle of files is detected, also through type-only imports", () => {
		const cycle = importCycles([
			{ file: "lib/a.ts", text: `import { b } from "./b.ts";` },
			{ file: "lib/b.ts", text: `import type { C } from "./c.ts";` },
			{ file: "lib/c.ts", text: `export { a } from "./a.ts";` },
		]);
		expect(cycle).toEqual([["lib/a.ts", "lib/b.ts", "lib/c.ts", "lib/a.ts"]]);
	});

	test("the order of lib's folders covers every folder, and lib has no file outside them", () => {
		const entries = readdirSync(join(root, "lib"), { withFileTypes: true });
		expect(entries.filter((entry) => !entry.isDirectory())).toEqual([]);
		expect(entries.map(({ name }) => name).sort()).toEqual([...LIB_FOLDERS].sort());
	});
});

describe("names", () => {
	test("files of a service have its name as prefix, files in its subfolders have none", () => {
		const misnamed = filesIn(root, "services")
			.filter((file) => file.endsWith(".ts") && !file.includes("/migrations/"))
			.filter((file) => {
				const [, service, ...path] = file.split("/");
				const prefixed = path.at(-1)!.startsWith(`${service}.`);
				if (path.length > 1) return prefixed;
				return !prefixed && !UNPREFIXED.test(file);
			});
		expect(misnamed).toEqual([]);
	});

	test("a service's folder, contract and service file have the service's name", () => {
		const misnamed = contracts.flatMap(({ file, exports }) =>
			exports
				.filter(isContract)
				.filter(({ name }) => !file.endsWith(`/${name}/${name}.contract.ts`))
				.map(() => file),
		);
		expect(misnamed).toEqual([]);
		const files = sources.map(({ file }) => file);
		expect(names.filter((name) => !files.includes(`services/${name}/${name}.service.ts`))).toEqual(
			[],
		);
	});

	test("lib contains no name of a domain", () => {
		const words = new RegExp(
			`\\b(${names.filter((name) => !GENERAL_TERMS.includes(name)).join("|")})\\b`,
		);
		const violations = sources
			.filter(({ file }) => file.startsWith("lib/") && !isExempt(file))
			.flatMap(({ file, text }) => {
				const word = words.exec(withoutCommentsAndStrings(text))?.[1];
				return word ? [`${file} has the identifier ${word}`] : [];
			});
		expect(violations).toEqual([]);
	});

	test("every migration has a unique number, a valid name and a down migration", () => {
		const files = filesIn(root, "mixins", "services").filter((file) =>
			file.includes("/migrations/"),
		);
		const ups = files.filter((file) => file.endsWith(".sql") && !file.endsWith(".down.sql"));
		const misnamed = files.filter(
			(file) => !/\/migrations\/\d{4}-[a-z0-9-]+(\.down)?\.sql$|\.gitkeep$/.test(file),
		);
		expect(misnamed).toEqual([]);
		const irreversible = ups.filter((file) => !files.includes(file.replace(/\.sql$/, ".down.sql")));
		expect(irreversible).toEqual([]);
		const numbers = ups.map((file) => file.replace(/-[^/]*$/, ""));
		expect(repeated(numbers)).toEqual([]);
	});
});

describe("sources", () => {
	test("only lib/settings/env.ts reads the environment", () => {
		const readers = [...sources, ...sourcesIn("scripts"), read(root, "moleculer.config.ts")]
			.filter(
				({ file, text }) =>
					file !== "lib/settings/env.ts" &&
					/\bprocess\s*\.\s*env\b|\benv\b[^;\n]*from "node:process"/.test(text),
			)
			.map(({ file }) => file);
		expect(readers).toEqual([]);
	});

	test("no file exceeds the maximum length", () => {
		const tooLong = writtenFiles
			.filter((file) => /\.(tsx?|js|sql)$/.test(file) && !LISTS.includes(file))
			.flatMap((file) => {
				const lines = read(root, file).text.split("\n").length - 1;
				const max = isTest(file) ? MAX_TEST_LINES : MAX_LINES;
				return lines > max ? [`${file} has ${lines} lines, the maximum is ${max}`] : [];
			});
		expect(tooLong).toEqual([]);
	});

	test("no line of code or prose exceeds 100 columns", () => {
		const atTop = readdirSync(root);
		const packages = ["clients/typescript/README.md", "console/README.md", "console/build.js"];
		const tooLong = [...atTop, ...packages, ...writtenFiles, ...filesIn(root, "docs")]
			.filter((file) => /\.(tsx?|js|sql|md)$/.test(file) && !GENERATED.includes(file))
			.flatMap((file) => longLines(file, read(root, file).text));
		expect(tooLong).toEqual([]);
	});

	const long = "x".repeat(100);
	test.each([
		["a comment", "x.ts", `// ${"word ".repeat(20)}`, "\t\t// short"],
		["a string, but not a pattern", "x.ts", `\tf("${long}");`, `const X =\n\t/${long}/;`],
		["SQL", "x.sql", `\t-- ${"word ".repeat(20)}`, "\t\t-- short"],
		["code, but not a URL", "x.ts", `\tf(/${long}/);`, ` * https://example.com/${long}`],
		["prose, but not a table", "x.md", "word ".repeat(21), `| ${long} |`],
		["prose, but not code", "x.md", `[a](b) ${long}`, `\`\`\`\n${long}x\n\`\`\``],
	])("the limit applies to %s", (_, file, rejected, accepted) => {
		expect(longLines(file, rejected)).toHaveLength(1);
		expect(longLines(file, accepted)).toEqual([]);
	});
});

describe("contracts", () => {
	test("services call only actions without a route", () => {
		const called = sources
			.filter(({ file }) => file.startsWith("services/"))
			.flatMap(({ file, text }) =>
				[...text.matchAll(/\bcall\(\s*"(\w+\.\w+)"/g)].map(([, name]) => ({ file, name: name! })),
			);
		expect(called.length).toBeGreaterThan(20);
		const internal = actions.filter(({ action }) => !action.rest).map(({ name }) => name);
		expect(called.filter(({ name }) => !internal.includes(name))).toEqual([]);
	});

	test("no two actions have the same route", () => {
		const routes = actions.flatMap(({ action }) => routesOf(action));
		expect(routes.length).toBeGreaterThan(0);
		expect(repeated(routes)).toEqual([]);
	});

	test("every error that an action throws is declared, with one status and message", () => {
		const declared = contracts.flatMap(({ exports }) =>
			exports.filter(isContract).flatMap(({ errors = {} }) => Object.entries(errors)),
		);
		const all = [...declared, ...Object.entries(commonErrors)];
		const meanings = all.map(([code, { status, message }]) => `${code} ${status} ${message}`);
		const codes = [...new Set(meanings)].map((meaning) => meaning.split(" ")[0]!);
		expect(repeated(codes)).toEqual([]);
		const undeclared = actions.flatMap(({ name, action: { throws = [] } }) =>
			throws.filter((code) => !codes.includes(code)).map((code) => `${name} throws ${code}`),
		);
		expect(undeclared).toEqual([]);
	});
});

/** Approximate: sufficient for formatted sources. */
const withoutCommentsAndStrings = (text: string) =>
	text
		.replace(/\/\*[\s\S]*?\*\//g, "")
		.replace(/"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, "")
		.replace(/\/\/.*$/gm, "");

const repeated = (values: readonly string[]) =>
	values.filter((value, i) => values.indexOf(value) !== i);

/** Routes without the names of parameters: /orders/:id and /orders/:order_id are the same. */
function routesOf({ rest, also = [] }: ActionContract): string[] {
	if (!rest) return [];
	const [method, path = ""] = rest.split(" ");
	return [method, ...also].map((verb) => `${verb} ${path.replace(/:\w+/g, ":")}`);
}
