import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { ActionContract, Contract } from "../lib/contracts/contract.ts";
import { commonErrors } from "../lib/contracts/errors.ts";
import { serviceNames } from "../lib/settings/node.ts";
import { filesIn, importViolations, read } from "./support/imports.ts";

const root = join(import.meta.dirname, "..");
const MAX_LINES = 250;
/** Tests stand side by side and are read one at a time. */
const MAX_TEST_LINES = 400;
/** Lists of data, an entry like the next: long is all they can be. */
const LISTS = ["lib/settings/settings.ts", "scripts/demo-catalogue.ts"];
/** Words that name a service and are ordinary words in lib as well. */
const ORDINARY = ["api", "auth"];
/** lib files that know a domain, each with its reason. */
const EXEMPT: Record<string, string> = {
	"lib/contracts/outcome.ts": "the set-based commands between services are all about orders",
};

const names = serviceNames(join(root, "services"));
const isTest = (file: string) => /\.test\.ts$|\/test\//.test(file);
const sources = filesIn(root, "lib", "mixins", "middlewares", "services")
	.filter((file) => file.endsWith(".ts") && !isTest(file))
	.map((file) => read(root, file));
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

describe("architecture", () => {
	test("a file imports only what its layer may", () => {
		expect(sources.flatMap(({ file, text }) => importViolations(file, text))).toEqual([]);
	});

	test.each([
		["lib/async/micro-batch.ts", `import { x } from "../mixins/database.mixin.ts";`],
		[
			"lib/async/micro-batch.ts",
			`const x = await import("../services/orders/orders.contract.ts");`,
		],
		[
			"mixins/database.mixin.ts",
			`import type { Order } from "../services/orders/orders.contract.ts";`,
		],
		["services/api/routing/routes.ts", `import type {} from "../orders/orders.contract.ts";`],
		["services/orders/orders.contract.ts", `import { users } from "../users/users.contract.ts";`],
		["services/orders/orders.contract.ts", `import pg from "pg";`],
		["services/orders/orders.rules.ts", `import {\n\tErrors,\n} from "moleculer";`],
		["services/orders/orders.rules.ts", `import { save } from "./orders.store.ts";`],
		["services/orders/orders.models.ts", `import { Errors } from "moleculer";`],
		["services/orders/orders.service.ts", `import "../users/users.contract.ts";`],
		["services/orders/orders.service.ts", `import { find } from "../users/users.rules.ts";`],
		["services/orders/saga/steps.ts", `export { find } from "../users/users.service.ts";`],
	])("%s may not say %j", (file, source) => {
		expect(importViolations(file, source)).toHaveLength(1);
	});

	test("a service's folder, its name and the beginning of its files are one word", () => {
		const files = filesIn(root, "services").filter((file) => file.endsWith(".ts"));
		const strange = files.filter((file) => {
			const [, folder, name = ""] = file.split("/");
			return folder !== "api" && !file.includes("/migrations/") && !name.startsWith(`${folder}.`);
		});
		expect(strange).toEqual([]);
		const misnamed = contracts.flatMap(({ file, exports }) =>
			exports
				.filter(
					(value) =>
						isContract(value) && !file.endsWith(`/${value.name}/${value.name}.contract.ts`),
				)
				.map(() => file),
		);
		expect(misnamed).toEqual([]);
		expect(names.filter((name) => !files.includes(`services/${name}/${name}.service.ts`))).toEqual(
			[],
		);
	});

	test("only lib/settings/env.ts reads the environment", () => {
		const readers = [
			...sources,
			...filesIn(root, "scripts").map((file) => read(root, file)),
			read(root, "moleculer.config.ts"),
		]
			.filter(
				({ file, text }) =>
					file !== "lib/settings/env.ts" &&
					/\bprocess\s*\.\s*env\b|\benv\b[^;\n]*from "node:process"/.test(text),
			)
			.map(({ file }) => file);
		expect(readers).toEqual([]);
	});

	test("lib knows no domain", () => {
		const words = new RegExp(
			`\\b(${names.filter((name) => !ORDINARY.includes(name)).join("|")})\\b`,
		);
		const knowing = sources
			.filter(({ file }) => file.startsWith("lib/") && !(file in EXEMPT))
			.flatMap(({ file, text }) => {
				const word = words.exec(withoutCommentsAndStrings(text))?.[1];
				return word ? [`${file} has the identifier ${word}`] : [];
			});
		expect(knowing).toEqual([]);
	});

	test("every migration has its way back, and a number and a name of its own", () => {
		const files = filesIn(root, "mixins", "services").filter((file) =>
			file.includes("/migrations/"),
		);
		const ups = files.filter((file) => file.endsWith(".sql") && !file.endsWith(".down.sql"));
		const misnamed = files.filter(
			(file) => !/\/migrations\/\d{4}-[a-z0-9-]+(\.down)?\.sql$|\.gitkeep$/.test(file),
		);
		expect(misnamed).toEqual([]);
		const without = ups.filter((file) => !files.includes(file.replace(/\.sql$/, ".down.sql")));
		expect(without).toEqual([]);
		const numbers = ups.map((file) => file.replace(/-[^/]*$/, ""));
		expect(repeated(numbers)).toEqual([]);
	});

	test("services call only actions without a route, which nodes of another version understand as well", () => {
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

	test("every error that an action announces is declared, with one status wherever it is", () => {
		const declared = contracts.flatMap(({ exports }) =>
			exports.filter(isContract).flatMap(({ errors = {} }) => Object.entries(errors)),
		);
		const statuses = [...declared, ...Object.entries(commonErrors)].map(
			([code, { status }]) => `${code} ${status}`,
		);
		const codes = [...new Set(statuses)].map((pair) => pair.split(" ")[0]!);
		expect(repeated(codes)).toEqual([]);
		const unknown = actions.flatMap(({ name, action: { throws = [] } }) =>
			throws.filter((code) => !codes.includes(code)).map((code) => `${name} throws ${code}`),
		);
		expect(unknown).toEqual([]);
	});

	test("no file is so long that nobody reads it", () => {
		const files = filesIn(
			root,
			"lib",
			"mixins",
			"middlewares",
			"services",
			"scripts",
			"test",
		).filter((file) => /\.(ts|js|sql)$/.test(file));
		const long = files.flatMap((file) => {
			const lines = read(root, file).text.split("\n").length - 1;
			if (LISTS.includes(file)) return [];
			const most = isTest(file) ? MAX_TEST_LINES : MAX_LINES;
			return lines > most ? [`${file} has ${lines} lines, ${most} are the most`] : [];
		});
		expect(long).toEqual([]);
	});
});

/** Good enough for what a formatter has been over. */
const withoutCommentsAndStrings = (text: string) =>
	text
		.replace(/\/\*[\s\S]*?\*\//g, "")
		.replace(/"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, "")
		.replace(/\/\/.*$/gm, "");

const repeated = (values: readonly string[]) =>
	values.filter((value, i) => values.indexOf(value) !== i);

/** Parameters have no names here: /orders/:id and /orders/:order_id are the same address. */
function routesOf({ rest, also = [] }: ActionContract): string[] {
	if (!rest) return [];
	const [method, path = ""] = rest.split(" ");
	return [method, ...also].map((verb) => `${verb} ${path.replace(/:\w+/g, ":")}`);
}
