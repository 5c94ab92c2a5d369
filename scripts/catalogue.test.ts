import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../test/support/eventually.ts";
import { freePort } from "../test/support/processes.ts";
import { cleanUp, makeDataFolder, type Running, runScript } from "../test/support/program.ts";

let folder: string;
let settings: Record<string, string>;
let shop: Running;
beforeAll(async () => {
	folder = await makeDataFolder();
	settings = { DATA_DIR: folder, PORT: String(await freePort()), RATE_LIMIT_ENABLED: "false" };
	await startShop();
});
afterAll(cleanUp);

async function startShop(): Promise<void> {
	shop = runScript("start", settings);
	await shop.waitForOutput(/The shop is open/);
}
async function run(...args: string[]) {
	const program = runScript("catalogue", settings, { args });
	const { code, errors } = await program.ended;
	return { code, errors, output: program.output().trim() };
}
const pathOf = (name: string) => join(folder, name);

test("imports a file, reports its failed rows and exits with 1", async () => {
	const file = pathOf("some.csv");
	const rows = ["sku,name,price,category", "CLI-1,One,1.5,Tools", 'CLI-2,Two,"1,5",Tools', ""];
	await writeFile(file, rows.join("\r\n"));
	expect(await run("import", file)).toEqual({
		code: 1,
		errors: "",
		output: [
			"row 3  CLI-2  price  Write the price with a decimal point " +
				"and without separators: 1.5, not 1,5",
			"1 created, 0 updated, 0 unchanged, 1 failed",
		].join("\n"),
	});
	await writeFile(`${file}.gz`, gzipSync(rows.join("\r\n").replace("1,5", "1.5")));
	expect(await run("import", `${file}.gz`)).toMatchObject({
		code: 0,
		output: "1 created, 0 updated, 1 unchanged, 0 failed",
	});
});

test("exports a file that imports without changes", async () => {
	const [first, second] = [pathOf("all.csv"), pathOf("all.csv.gz")];
	expect(await run("export", first)).toMatchObject({
		code: 0,
		output: expect.stringMatching(/^\d+ lines written to .*all\.csv$/),
	});
	expect(await run("import", first)).toMatchObject({
		code: 0,
		output: expect.stringMatching(/^0 created, 0 updated, \d+ unchanged, 0 failed$/),
	});
	expect((await run("export", second)).code).toBe(0);
	expect(gunzipSync(await readFile(second))).toEqual(await readFile(first));
});

/** Proxy of the shop that forwards only the first part of an export or import. */
async function openStallingProxy() {
	const server = createServer((req, res) => {
		const { url, method = "GET", headers } = req;
		const forwarded = request({ port: settings.PORT, path: url, method, headers });
		if (url!.includes("/import")) req.once("data", (part: Buffer) => forwarded.write(part));
		else req.pipe(forwarded);
		forwarded.on("error", () => res.destroy());
		forwarded.on("response", (response) => {
			res.writeHead(response.statusCode!, response.headers);
			if (url!.includes("/export")) response.once("data", (part: Buffer) => res.write(part));
			else response.pipe(res);
			response.on("error", () => res.destroy());
		});
	});
	await once(server.listen(0, "127.0.0.1"), "listening");
	const close = () => {
		server.close();
		server.closeAllConnections();
	};
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

test("concurrent exports to one file have separate drafts, and Ctrl-C removes them", async () => {
	const file = pathOf("interrupted.csv");
	const drafts = async () => (await readdir(folder)).filter((name) => /^interrupted/.test(name));
	const proxy = await openStallingProxy();
	try {
		const args = ["export", file, "--url", proxy.url];
		const programs = [1, 2].map(() => runScript("catalogue", settings, { args }));
		await eventually(async () => expect(await drafts()).toHaveLength(2));
		for (const program of programs)
			expect(await program.stop("SIGINT")).toEqual({ code: 130, errors: "" });
		expect(await drafts()).toEqual([]);
	} finally {
		proxy.close();
	}
});

test("names the reason if it cannot start", async () => {
	const file = pathOf("some.csv");
	for (const [args, reason] of [
		[["import", pathOf("missing.csv")], /Cannot read .*missing\.csv/],
		[["import", pathOf("some.txt")], /must end with \.csv or \.ndjson/],
		[["copy", file], /must be import or export/],
		[["import"], /must be a file/],
		[["import", file, "--url", "http://127.0.0.1:1"], /did not respond/],
	] as const)
		expect(await run(...args)).toMatchObject({ code: 1, errors: expect.stringMatching(reason) });
});

test("a second import completes one that the death of the shop has interrupted", async () => {
	const file = pathOf("many.ndjson");
	const expected = Array.from({ length: 6000 }, (_, i) => ({
		...{ sku: `MANY-${i}`, name: `Name ${i}`, description: null, price: i / 100, currency: "EUR" },
		...{ category: `C/${i % 50}`, stock: i, attributes: { n: i }, images: [] },
	}));
	await writeFile(file, expected.map((one) => `${JSON.stringify(one)}\n`).join(""));
	const total = async () => {
		const response = await fetch(`http://127.0.0.1:${settings.PORT}/api/products?category=C`);
		return Number(response.headers.get("x-total-count"));
	};
	const proxy = await openStallingProxy();
	try {
		const interrupted = run("import", file, "--url", proxy.url);
		await eventually(async () => expect(await total()).toBeGreaterThan(0));
		await shop.stop("SIGKILL");
		expect(await interrupted).toMatchObject({ code: 1, output: "" });
	} finally {
		proxy.close();
	}

	await startShop();
	const { code, output } = await run("import", file);
	expect([code, output]).toEqual([
		0,
		expect.stringMatching(/^[1-9]\d* created, 0 updated, [1-9]\d* unchanged, 0 failed$/),
	]);
	const copy = pathOf("copy.ndjson");
	await run("export", copy);
	const lines = (await readFile(copy, "utf8")).trim().split("\n");
	const found = lines.map((line) => JSON.parse(line)).filter(({ sku }) => /^MANY/.test(sku));
	expect(found).toEqual(expected);
});
