import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, test } from "@jest/globals";
import {
	type Received,
	sendJson,
	sendProblem,
	startServer,
	type TestServer,
} from "../test/server.ts";
import {
	type Client,
	createClient,
	SessionEndedError,
	type TokenStore,
	type Tokens,
} from "./index.ts";

let server: TestServer;
afterEach(() => server?.stop());

/** Server with one session, whose valid tokens have the same number: a2 and r2. */
async function startSession(
	options: {
		onRefresh?: (response: ServerResponse) => unknown;
		onReject?: () => void;
		tokens?: Tokens;
	} = {},
): Promise<{ shop: Client; store: TokenStore; refreshes: () => number }> {
	let valid = 2;
	const issue = (response: ServerResponse) =>
		sendJson(response, 200, {
			access_token: `a${valid}`,
			refresh_token: `r${valid}`,
			expires_in: 900,
		});
	const respond = ({ path, body, headers }: Received, response: ServerResponse) => {
		if (path === "/api/users/login") return issue(response);
		if (path === "/api/auth/logout") return response.writeHead(204).end();
		if (path === "/api/auth/refresh") {
			if (options.onRefresh) return options.onRefresh(response);
			if (JSON.parse(body).refresh_token !== `r${valid}`)
				return sendProblem(response, 401, "UNAUTHENTICATED");
			valid++;
			return issue(response);
		}
		if (headers.authorization === `Bearer a${valid}`) return sendJson(response, 200, { id: "u1" });
		options.onReject?.();
		return sendProblem(response, 401, "UNAUTHENTICATED");
	};
	server = await startServer(respond);
	let tokens: Tokens | undefined = options.tokens ?? { access_token: "a1", refresh_token: "r2" };
	const store: TokenStore = {
		get: () => tokens,
		set(next) {
			tokens = next;
		},
	};
	const refreshes = () => server.requests.filter(({ path }) => path === "/api/auth/refresh").length;
	return { shop: createClient({ url: server.url, tokens: store }), store, refreshes };
}

describe("a session", () => {
	test("is refreshed once for concurrent requests with an expired access token", async () => {
		const { shop, store, refreshes } = await startSession();
		const results = await Promise.all(Array.from({ length: 8 }, () => shop.users.me()));
		expect(results).toEqual(Array.from({ length: 8 }, () => ({ id: "u1" })));
		expect(refreshes()).toBe(1);
		expect(await store.get()).toMatchObject({ access_token: "a3", refresh_token: "r3" });
	});

	test("is refreshed before a request if its access token is known to have expired", async () => {
		const tokens = { access_token: "a1", refresh_token: "r2", expires_at: Date.now() - 1 };
		const { shop } = await startSession({ tokens });
		await shop.users.me();
		expect(server.requests.map(({ path }) => path)).toEqual(["/api/auth/refresh", "/api/users/me"]);
	});

	test("ends with a typed error if its refresh token is rejected", async () => {
		const { shop, store } = await startSession({
			tokens: { access_token: "a1", refresh_token: "r1" },
		});
		const failed = await Promise.allSettled([shop.users.me(), shop.users.me()]);
		for (const result of failed)
			expect((result as PromiseRejectedResult).reason).toBeInstanceOf(SessionEndedError);
		expect(await store.get()).toBeUndefined();
		await expect(shop.users.me()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
		expect(server.requests.at(-1)!.headers.authorization).toBeUndefined();
	});

	test("continues after a refresh without a response", async () => {
		const { shop, store } = await startSession({ onRefresh: (response) => response.destroy() });
		await expect(shop.users.me({}, { attempts: 1 })).rejects.toMatchObject({
			name: "NetworkError",
		});
		expect(await store.get()).toEqual({ access_token: "a1", refresh_token: "r2" });
	});

	test("uses the tokens that another client of the storage has refreshed since", async () => {
		const other = () => store.set({ access_token: "a2", refresh_token: "r2" });
		const { shop, store, refreshes } = await startSession({ onReject: () => void other() });
		expect(await shop.users.me()).toEqual({ id: "u1" });
		expect(refreshes()).toBe(0);
		expect(server.requests).toHaveLength(2);
	});

	test("with a lock is refreshed once by several clients of the storage", async () => {
		const { store, refreshes } = await startSession();
		let queue = Promise.resolve();
		const locked: TokenStore = {
			...store,
			lock(act) {
				const result = queue.then(act);
				queue = result.then(
					() => undefined,
					() => undefined,
				);
				return result;
			},
		};
		const clients = Array.from({ length: 3 }, () =>
			createClient({ url: server.url, tokens: locked }),
		);
		await Promise.all(clients.map((shop) => shop.users.me()));
		expect(refreshes()).toBe(1);
	});

	test("starts with signIn and ends with signOut", async () => {
		const { shop, store } = await startSession({ tokens: { access_token: "none" } });
		await shop.signIn({ email: "me@example.com", password: "correct horse" });
		expect(await shop.users.me()).toEqual({ id: "u1" });
		await shop.signOut();
		expect(await store.get()).toBeUndefined();
		expect(JSON.parse(server.requests.at(-1)!.body)).toEqual({ refresh_token: "r2" });
	});

	test("that has expired can be replaced by signing in", async () => {
		const tokens = { access_token: "a1", refresh_token: "r1", expires_at: Date.now() - 1 };
		const { shop, refreshes } = await startSession({ tokens });
		await shop.signIn({ email: "me@example.com", password: "correct horse" });
		expect(await shop.users.me()).toEqual({ id: "u1" });
		expect(refreshes()).toBe(0);
	});

	test("that is signed out during a refresh does not return", async () => {
		const begun = Promise.withResolvers<ServerResponse>();
		const { shop, store } = await startSession({ onRefresh: begun.resolve });
		const request = shop.users.me().catch(() => undefined);
		const response = await begun.promise;
		const end = shop.signOut();
		sendJson(response, 200, { access_token: "a9", refresh_token: "r9", expires_in: 900 });
		await end;
		await request;
		expect(await store.get()).toBeUndefined();
		const logout = server.requests.find(({ path }) => path === "/api/auth/logout")!;
		expect(JSON.parse(logout.body)).toEqual({ refresh_token: "r9" });
	});

	test("is not affected by the access token of one request", async () => {
		const { shop, refreshes } = await startSession();
		const rejected = shop.users.me({}, { accessToken: "other" });
		await expect(rejected).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
		expect(refreshes()).toBe(0);
	});
});

describe("a session in cookies", () => {
	/** Server that accepts requests after `refresh`. */
	async function startCookies(refresh: () => Promise<unknown>) {
		let accepts = false;
		server = await startServer((_, response) => {
			if (accepts) sendJson(response, 200, { id: "u1" });
			else sendProblem(response, 401, "UNAUTHENTICATED");
		});
		return createClient({
			url: server.url,
			credentials: "cookie",
			attempts: 1,
			async refresh() {
				await refresh();
				accepts = true;
			},
		});
	}

	test("is refreshed once for concurrent requests, with the header Console-Request", async () => {
		let refreshes = 0;
		const shop = await startCookies(async () => refreshes++);
		await Promise.all([shop.users.me(), shop.users.me(), shop.users.me()]);
		await shop.users.me();
		expect(refreshes).toBe(1);
		for (const { headers } of server.requests) {
			expect(headers["console-request"]).toBe("1");
			expect(headers.authorization).toBeUndefined();
		}
	});

	test("ends with the error of its refresh", async () => {
		const ended = new SessionEndedError("401");
		const shop = await startCookies(async () => {
			throw ended;
		});
		await expect(shop.users.me()).rejects.toBe(ended);
	});

	test("continues if its refresh fails for another reason", async () => {
		const reason = new TypeError("fetch failed");
		let isDown = true;
		const shop = await startCookies(async () => {
			if (isDown) throw reason;
		});
		await expect(shop.users.me()).rejects.toMatchObject({ name: "NetworkError", cause: reason });
		isDown = false;
		expect(await shop.users.me()).toEqual({ id: "u1" });
	});
});
