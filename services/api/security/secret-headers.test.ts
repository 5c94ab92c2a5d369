import { expect, jest, test } from "@jest/globals";
import { contract, throwError } from "../../../lib/contracts/contract.ts";
import { object } from "../../../lib/contracts/schema.ts";
import { defineService } from "../../../lib/service/define-service.ts";
import { token as accessToken, stubbedServices } from "../../../test/support/gateway.ts";
import type { HttpResponse } from "../../../test/support/http.ts";
import type { Shop } from "../../../test/support/shop.ts";
import { gateways } from "../test/gateways.ts";

const SECRET = "aB3_-9".repeat(4);
const returns = object({ token: { type: "string", nullable: true } });
const parcels = contract({
	name: "parcels",
	actions: {
		open: {
			rest: "GET /parcels/:id",
			auth: "anyone",
			token: "Parcel-Token",
			params: { id: { type: "string" } },
			returns,
			throws: ["PARCEL_NOT_FOUND"],
		},
		keep: {
			rest: "POST /parcels/:id/keep",
			repeatable: "a parcel is kept once",
			auth: "user",
			token: "Parcel-Token",
			params: { id: { type: "string" } },
			returns,
		},
		list: { rest: "GET /parcels", auth: "anyone", params: {}, returns },
		pack: {
			rest: "POST /parcels",
			repeatable: "an unused parcel expires",
			auth: "anyone",
			secret: true,
			params: {},
			returns,
		},
		unlock: {
			rest: "POST /parcels/:id/unlock",
			repeatable: "a parcel is unlocked once",
			auth: "anyone",
			token: "Parcel-Token",
			guesses: ["WRONG_CODE"],
			params: { id: { type: "string" } },
			returns,
			throws: ["WRONG_CODE", "PARCEL_LOCKED"],
		},
	},
	errors: {
		PARCEL_NOT_FOUND: { status: 404, message: "Parcel not found" },
		WRONG_CODE: { status: 422, message: "The code is wrong" },
		PARCEL_LOCKED: { status: 409, message: "The parcel is locked" },
	},
});
interface Caller {
	readonly meta: { token?: string };
}
const received = ({ meta }: Caller) => ({ token: meta.token ?? null });

const { start } = gateways();
const open = (env: Record<string, string> = {}, onLog?: (line: string) => void) =>
	start({
		stubs: [
			...stubbedServices(),
			defineService(parcels as never)({
				actions: {
					open: async (ctx: Caller) =>
						ctx.meta.token === SECRET ? received(ctx) : throwError(parcels, "PARCEL_NOT_FOUND"),
					keep: async (ctx: Caller) => received(ctx),
					list: async (ctx: Caller) => received(ctx),
					pack: async () => ({ token: SECRET }),
					unlock: async (ctx: { params: { id: string } }) =>
						throwError(parcels, ctx.params.id === "1" ? "WRONG_CODE" : "PARCEL_LOCKED"),
				} as never,
			}),
		],
		env: { CORS_ORIGINS: "https://shop.example", ...env },
		...(onLog ? { onLog } : {}),
	});
const read = ({ http }: Shop, secret?: string, request = "GET /api/parcels/1") =>
	http(request, secret === undefined ? {} : { headers: { "Parcel-Token": secret } });
const repeat = async (times: number, send: () => Promise<HttpResponse>): Promise<number[]> => {
	const statuses: number[] = [];
	for (let i = 0; i < times; i++) statuses.push((await send()).status);
	return statuses;
};

test("passes the secret only to actions that declare its header", async () => {
	const shop = await open();
	expect((await read(shop, SECRET)).body).toEqual({ token: SECRET });
	expect((await read(shop, SECRET, "GET /api/parcels")).body).toEqual({ token: null });
	expect((await read(shop)).status).toBe(404);
	expect((await read(shop, SECRET, "POST /api/parcels/1/keep")).status).toBe(401);
});

test("rejects a malformed or repeated header", async () => {
	const shop = await open();
	for (const secret of ["", "a=", "a b", "ä", `${SECRET}, ${SECRET}`, "x".repeat(201)]) {
		const { status, body } = await read(shop, secret);
		expect([secret, status, body.code]).toEqual([secret, 400, "BAD_HEADER"]);
		expect(body.detail).toBe("Parcel-Token takes 1 to 200 characters of base64url");
	}
	expect((await read(shop, "x".repeat(200))).status).toBe(404);
});

test("forbids caches to store responses, also errors", async () => {
	const shop = await open();
	for (const response of [await read(shop, SECRET), await read(shop), await read(shop, "")])
		expect(response.headers.get("cache-control")).toBe("no-store");
	expect((await read(shop, SECRET, "GET /api/parcels")).headers.get("cache-control")).toBeNull();
	const { headers } = await shop.http("POST /api/parcels", { body: {} });
	expect(headers.get("cache-control")).toBe("no-store");
});

test("allows the header in requests from other origins, and documents it", async () => {
	const { http } = await open();
	const { headers } = await http("OPTIONS /api/parcels/1", {
		headers: { origin: "https://shop.example", "access-control-request-method": "GET" },
	});
	expect(headers.get("access-control-allow-headers")).toMatch(/^Authorization, .*, Parcel-Token$/);

	const { paths, components } = (await http("GET /openapi.json")).body;
	expect(components.securitySchemes["Parcel-Token"]).toMatchObject({
		type: "apiKey",
		in: "header",
		name: "Parcel-Token",
	});
	expect(paths["/api/parcels/{id}"].get.security).toEqual([
		{ bearerAuth: [] },
		{ "Parcel-Token": [] },
	]);
	expect(paths["/api/parcels/{id}"].get.responses[400]).toBeDefined();
	expect(paths["/api/parcels/{id}/keep"].post.security).toEqual([
		{ bearerAuth: [], "Parcel-Token": [] },
	]);
	expect(paths["/api/parcels"].get.security).toEqual([{}, { bearerAuth: [] }]);
});

test("logs no secret", async () => {
	const lines: string[] = [];
	const shop = await open({ LOGLEVEL: "trace" }, (line) => void lines.push(line));
	await read(shop, SECRET);
	await read(shop, `${SECRET}wrong`);
	await read(shop, `${SECRET}=`);
	await shop.stop();
	const log = lines.join("");
	expect(log).toContain(`"path":"/api/parcels/1","status":404`);
	expect(log).not.toContain(SECRET);
});

test("limits wrong secrets of an address, and then rejects correct ones as well", async () => {
	const shop = await open({ RATE_LIMIT_ENABLED: "true", RATE_LIMIT_STRICT_PER_MINUTE: "3" });
	const right = () => read(shop, SECRET);
	const wrong = () => read(shop, `${SECRET}x`);
	expect(await repeat(5, right)).toEqual([200, 200, 200, 200, 200]);
	expect(await repeat(5, () => read(shop))).toEqual([404, 404, 404, 404, 404]);
	expect(await repeat(4, wrong)).toEqual([404, 404, 404, 429]);
	const refused = await right();
	expect(refused.body).toMatchObject({ status: 429, code: "RATE_LIMITED" });
	expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
	const signedIn = { token: accessToken(shop.env), headers: { "Parcel-Token": SECRET } };
	expect((await shop.http("POST /api/parcels/1/keep", signedIn)).status).toBe(429);
	expect((await read(shop)).status).toBe(404);
	expect((await shop.http("GET /api/products")).status).toBe(200);

	const now = Date.now();
	jest.spyOn(Date, "now").mockReturnValue(now + 61_000);
	expect((await right()).status).toBe(200);
	jest.restoreAllMocks();
});

test("counts the errors that an action declares as guesses, like wrong secrets", async () => {
	const shop = await open({ RATE_LIMIT_ENABLED: "true", RATE_LIMIT_STRICT_PER_MINUTE: "3" });
	const unlock = (id: string) => read(shop, SECRET, `POST /api/parcels/${id}/unlock`);
	expect(await repeat(5, () => unlock("2"))).toEqual([409, 409, 409, 409, 409]);
	expect(await repeat(4, () => unlock("1"))).toEqual([422, 422, 422, 429]);
});

test("a contract cannot cache results that depend on a secret", () => {
	const { open } = parcels.actions;
	for (const caching of [{ cache: { ttl: 1000 } }, { responseCache: { ttl: 1000 } }]) {
		const cached = { name: "parcels", actions: { open: { ...open, ...caching } } };
		const define = () =>
			defineService(cached as never)({ actions: { open: async () => ({}) } as never });
		expect(define).toThrow("`token` excludes");
	}
});
