import { execFile } from "node:child_process";
import {
	cpSync,
	existsSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { version } from "../../lib/process/version.ts";
import { makeAdmin, makeProduct } from "../../test/support/builders.ts";
import { root } from "../../test/support/databases.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { build, client } from "./build.ts";

const compiler = join(root, "node_modules/typescript/bin/tsc");
const readme = readFileSync(join(client, "README.md"), "utf8");
const [, tour = ""] = /^```js\n([\s\S]*?)^```$/m.exec(readme)!;
/** Uses types that must not be `any`. */
const TYPED = `import { createClient, isProblem, type CodeOf } from "@moleculer-commerce/client";

export async function use(id: string): Promise<number> {
	const shop = createClient({ url: "http://127.0.0.1" });
	const product = await shop.products.get({ id });
	for await (const event of shop.orders.events({ id }))
		if (event.type === "order.cancelled") console.log(event.data.reason.toUpperCase());
	// @ts-expect-error: no such parameter
	await shop.orders.get({ number: 1 });
	// @ts-expect-error: no such field
	console.log(product.weight);
	// @ts-expect-error: not a code of this action
	const code: CodeOf<"orders.create"> = "EMAIL_TAKEN";
	const problem: unknown = code;
	if (isProblem(problem, "OUT_OF_STOCK")) return problem.status;
	return product.price;
}
`;

let folder: string;
let shop: Shop;
/** Runs a program and returns its output. The shop is in this process and must not be blocked. */
const run = async (file: string, args: string[], cwd = folder): Promise<string> =>
	(await promisify(execFile)(file, args, { cwd })).stdout;

/**
 * Builds and packs the client, and installs it into a folder outside of the repository. The test
 * leaves no files in the folder of the package.
 */
beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-package-"));
	const source = join(folder, "source");
	for (const file of ["package.json", "README.md", "LICENSE"])
		cpSync(join(client, file), join(source, file));
	await build(join(source, "dist"));
	await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], source);
	const archive = readdirSync(folder).find((file) => file.endsWith(".tgz"))!;
	writeFileSync(join(folder, "package.json"), '{ "type": "module", "private": true }');
	await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${archive}`]);
	shop = await startShop();
	await makeProduct(shop, await makeAdmin(shop));
});
afterAll(async () => {
	await shop?.stop();
	rmSync(folder, { recursive: true, force: true });
});

test("the package has the version of the program and contains what its users need", () => {
	const installed = join(folder, "node_modules/@moleculer-commerce/client");
	const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
	expect(manifest).toMatchObject({ version, type: "module" });
	expect(manifest.scripts.prepack).toBe("npm --prefix ../.. run client:build");
	expect(manifest.dependencies).toBeUndefined();
	const files = readdirSync(installed, { recursive: true, encoding: "utf8" });
	expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "dist/index.js"]));
	expect(files.filter((file) => /\.test\.|^(src|test)\b/.test(file))).toEqual([]);
});

test.each([
	["a page", { lib: ["es2022", "DOM", "DOM.Iterable"], types: [] }],
	[
		"a program for Node",
		{ lib: ["es2022"], types: ["node"], typeRoots: [join(root, "node_modules/@types")] },
	],
])("strict TypeScript accepts the package in %s", async (_, options) => {
	const compilerOptions = {
		...{ target: "es2022", module: "nodenext", strict: true, noEmit: true, skipLibCheck: false },
		...options,
	};
	writeFileSync(join(folder, "tour.ts"), tour);
	writeFileSync(join(folder, "typed.ts"), TYPED);
	writeFileSync(
		join(folder, "tsconfig.json"),
		JSON.stringify({ compilerOptions, files: ["tour.ts", "typed.ts"] }),
	);
	const compiled = run(process.execPath, [compiler, "-p", folder]);
	expect(await compiled.catch(({ stdout }) => stdout)).toBe("");
});

test("every example of the README uses actions, options and results that exist", async () => {
	const declared = `
		/** @type {import("@moleculer-commerce/client").Client} */ let shop;
		/** @type {import("@moleculer-commerce/client").ResultOf<"products.get">} */ let product;
		/** @type {{ product_id: string, quantity: number }[]} */ let items;
		/** @type {Blob} */ let file;
		/** @type {AbortSignal} */ let signal;
		/** @type {() => Promise<void>} */ let renewCookies;
		/** @type {string} */ let id;
		/** @type {string} */ let url;
		export const declared = { shop, product, items, file, signal, renewCookies, id, url };`;
	const blocks = [...readme.matchAll(/^```js\n([\s\S]*?)^```$/gm)].slice(1);
	expect(blocks.length).toBeGreaterThan(6);
	const functions = blocks.map(([, block]) => `async () => {\n${block}\n};`);
	const imports = 'import { createClient, isProblem } from "@moleculer-commerce/client";';
	writeFileSync(join(folder, "examples.js"), [imports, declared, ...functions].join("\n"));
	const compilerOptions = {
		...{ target: "es2022", module: "nodenext", noEmit: true, strict: false },
		...{ allowJs: true, checkJs: true, lib: ["es2022", "DOM", "DOM.AsyncIterable"], types: [] },
	};
	const config = { compilerOptions, files: ["examples.js"] };
	writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
	const compiled = run(process.execPath, [compiler, "-p", folder]);
	expect(await compiled.catch(({ stdout }) => stdout)).toBe("");
});

test("the ten lines of the README run against a shop", async () => {
	expect(tour.trim().split("\n")).toHaveLength(10);
	writeFileSync(join(folder, "tour.js"), tour.replace("http://127.0.0.1:3000", shop.url));
	expect(await runOnOldestNode("tour.js")).toMatch(/^confirmed 10 EUR\n[0-9a-f-]{36} confirmed\n$/);
});

/** Runs a program with the Node of the system, which may be older than that of the project. */
async function runOnOldestNode(file: string): Promise<string> {
	const system = "/usr/bin/node";
	const isSupported =
		existsSync(system) && Number(/\d+/.exec(await run(system, ["--version"]))?.[0]) >= 20;
	return run(isSupported ? system : process.execPath, [file]);
}
