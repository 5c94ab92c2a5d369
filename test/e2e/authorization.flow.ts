import { afterAll, beforeAll, expect, test } from "@jest/globals";
import jwt from "jsonwebtoken";
import { type Customer, makeAdmin, register } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { BAD_TOKEN, type Row, type Scene, table } from "./authorization.table.ts";
import { type AnyShop, type Flow, START_MS, statuses } from "./shape.ts";

const isPublic = ({ nobody }: Row) => nobody !== BAD_TOKEN;

export const authorization: Flow = (open) => {
	let shop: AnyShop;
	let scene: Omit<Scene, "owner">;
	let other: Customer;
	let badTokens: Record<string, string>;
	beforeAll(async () => {
		shop = await open();
		scene = { shop, admin: await makeAdmin(shop) };
		other = await register(shop);
		badTokens = await makeBadTokens();
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	/** Each is an administrator's but for the one thing that is wrong with it, so nothing but that can be what is refused. */
	async function makeBadTokens(): Promise<Record<string, string>> {
		const good = scene.admin.token;
		const { header, payload } = jwt.decode(good, { complete: true }) as {
			header: jwt.JwtHeader;
			payload: jwt.JwtPayload;
		};
		const [head, body, signature] = good.split(".") as [string, string, string];
		const { iat = 0, ...claims } = payload;
		const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
		const gone = await makeAdmin(shop);
		await shop.http(`DELETE /api/users/${gone.id}`, { token: scene.admin.token });
		await eventually(async () =>
			expect(new Set(await statuses(shop, gone.token))).toEqual(new Set([401])),
		);
		return {
			expired: jwt.sign({ ...claims, iat: iat - 1000, exp: iat - 100 }, shop.secret, {
				keyid: header.kid!,
			}),
			"tampered with": [head, encode({ ...payload, sub: other.id }), signature].join("."),
			"signed with none": [encode({ ...header, alg: "none" }), body, ""].join("."),
			"of a deactivated user": gone.token,
		};
	}

	async function ask(route: string, row: Row, owner: Customer, token: string | undefined) {
		const { path = {}, query, body, form } = (await row.request?.({ ...scene, owner })) ?? {};
		const address = route.replace(/:(\w+)/g, (_, name) => path[name] ?? `no-${name}`);
		const { status, body: answer } = await shop.http(query ? `${address}?${query}` : address, {
			...(token ? { token } : {}),
			...(body ? { body } : {}),
			...(form
				? {
						body: String(new URLSearchParams(form)),
						headers: { "content-type": "application/x-www-form-urlencoded" },
					}
				: {}),
		});
		return { status, answer };
	}

	test.each(Object.entries(table))("%s", async (route, row) => {
		const found: Record<string, number> = {};
		for (const who of ["nobody", "other", "owner", "admin"] as const) {
			const owner = await register(shop);
			// Somebody of their own where the token is spent by being used.
			const stranger = route.endsWith("logout-everywhere") ? await register(shop) : other;
			const admin = route.endsWith("logout-everywhere") ? await makeAdmin(shop) : scene.admin;
			const token = {
				nobody: undefined,
				other: stranger.token,
				owner: owner.token,
				admin: admin.token,
			}[who];
			const { status, answer } = await ask(route, row, owner, token);
			found[who] = status;
			if (who === "other" && row.hides) expect(JSON.stringify(answer)).not.toContain(owner.id);
			if (who === "owner" && row.hides) expect(JSON.stringify(answer)).toContain(owner.id);
			if (status === 401 || status === 403)
				expect(answer).toMatchObject({ code: status === 401 ? "UNAUTHENTICATED" : "FORBIDDEN" });
		}
		const { nobody, other: stranger, owner, admin } = row;
		expect(found).toEqual({ nobody, other: stranger, owner, admin });
	});

	test("every route that requires a user rejects an invalid token, and every public route ignores it", async () => {
		const wrong: string[] = [];
		const owner = await register(shop);
		for (const [route, row] of Object.entries(table)) {
			for (const [kind, token] of Object.entries(badTokens)) {
				const request = () => ({ path: { id: owner.id } });
				const { status } = await ask(
					route,
					isPublic(row) ? row : { ...row, request },
					owner,
					token,
				);
				const expected = isPublic(row) ? row.nobody : BAD_TOKEN;
				if (status !== expected)
					wrong.push(`${route} responds with ${status} to a token that is ${kind}`);
			}
		}
		expect(wrong).toEqual([]);
	});

	test("the tokens are good but for what is wrong with them", async () => {
		expect((await shop.http("GET /api/users", { token: scene.admin.token })).status).toBe(200);
		const { header, payload } = jwt.decode(badTokens.expired!, { complete: true }) as {
			header: jwt.JwtHeader;
			payload: jwt.JwtPayload;
		};
		const { exp: _, iat: __, ...claims } = payload;
		const fresh = jwt.sign(claims, shop.secret, { keyid: header.kid!, expiresIn: 60 });
		expect((await shop.http("GET /api/users", { token: fresh })).status).toBe(200);
	});
};
