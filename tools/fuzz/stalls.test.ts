import { Agent, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readContracts, routesOf } from "../documents/openapi.ts";
import { attacks, PIECES } from "./attacks.ts";
import { findStalls, MAX_BLOCK_MS } from "./stalls.ts";

const agent = new Agent({ keepAlive: true });
/** More than the permitted time. It is repeated for each attempt, so it should be short. */
const BLOCK_MS = 1.5 * MAX_BLOCK_MS;
const block = (ms: number) => {
	for (const end = performance.now() + ms; performance.now() < end; );
};
const server = createServer((req, res) => {
	if (req.url === "/during") block(BLOCK_MS);
	res.end();
	if (req.url === "/after") res.once("close", () => block(BLOCK_MS));
});
let url: string;
beforeAll(async () => {
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
	agent.destroy();
	server.close();
});

const get = (path: string) => ({ method: "GET", path, headers: {}, body: undefined });

test("findStalls reports requests that block the event loop", async () => {
	const { sent, stalls } = await findStalls(
		agent,
		url,
		["/", "/during", "/quick", "/after"].map(get),
		[url],
	);
	expect(sent).toBe(4);
	expect(stalls.map(({ request: { path } }) => path)).toEqual(["/during", "/after"]);
	expect(Math.min(...stalls.map(({ ms }) => ms))).toBeGreaterThan(MAX_BLOCK_MS);
});

test("attacks covers every parameter of every route, and every header", async () => {
	const routes = routesOf(await readContracts());
	const requests = [...attacks(routes, "token", ["@."])];
	for (const { method, path, contract } of routes) {
		const pattern = new RegExp(`^${path.replace(/:\w+/g, "[^/]+")}(\\?|$)`);
		const own = requests.filter(
			(request) => request.method === method && pattern.test(request.path),
		);
		expect(own.length).toBeGreaterThanOrEqual(Object.keys(contract.params).length);
	}
	expect(requests.filter(({ body }) => (body?.length ?? 0) > 90_000).length).toBeGreaterThan(20);
	expect(
		requests.every(
			({ path, headers }) => path.length < 15_000 && JSON.stringify(headers).length < 15_000,
		),
	).toBe(true);
	expect(PIECES.length).toBeGreaterThan(20);
});
