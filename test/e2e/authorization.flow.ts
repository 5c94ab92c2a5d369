import { afterAll, beforeAll, expect, test } from "@jest/globals";
import jwt from "jsonwebtoken";
import { type Customer, makeAdmin, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { BAD_TOKEN, type Row, type Scene, table } from "./authorization.table.ts";
import { type AnyShop, type Flow, statuses } from "./shape.ts";

const isPublic = ({ anonymous }: Row) => anonymous !== BAD_TOKEN;

/** Whether the gateway alone handles the route, by the same code in every mode. */
const isOfGateway = (route: string) => !route.includes(" /api/");

export const authorization: Flow = (open, mode) => {
	const rows = Object.entries(table).filter(
		([route]) => mode === "embedded" || !isOfGateway(route),
	);
	let shop: AnyShop;
	let scene: Omit<Scene, "owner">;
	let other: Customer;
	/** Owner in routes whose requests concern no object. */
	let bystander: Customer;
	let badTokens: Record<string, string>;
	beforeAll(async () => {
		shop = await open();
		scene = { shop, admin: await makeAdmin(shop) };
		[other, bystander] = [await register(shop), await register(shop)];
		badTokens = await makeBadTokens();
	});
	afterAll(() => shop?.stop());

	/**
	 * Administrator tokens with exactly one defect each, so only the defect can cause a rejection.
	 */
	async function makeBadTokens(): Promise<Record<string, string>> {
		const good = scene.admin.token;
		const { header, payload } = jwt.decode(good, { complete: true }) as {
			header: jwt.JwtHeader;
			payload: jwt.JwtPayload;
		};
		const [head, body, signature] = good.split(".") as [string, string, string];
		const { iat = 0, ...claims } = payload;
		const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
		const deactivated = await makeAdmin(shop);
		await clientOf(shop, scene.admin).users.remove({ id: deactivated.id });
		await eventually(async () =>
			expect(new Set(await statuses(shop, deactivated.token))).toEqual(new Set([401])),
		);
		return {
			expired: jwt.sign({ ...claims, iat: iat - 1000, exp: iat - 100 }, shop.secret, {
				keyid: header.kid!,
			}),
			"tampered with": [head, encode({ ...payload, sub: other.id }), signature].join("."),
			"signed with none": [encode({ ...header, alg: "none" }), body, ""].join("."),
			"of a deactivated user": deactivated.token,
		};
	}

	async function request(route: string, row: Row, owner: Customer, token: string | undefined) {
		const { path = {}, query, body, form, csv } = (await row.request?.({ ...scene, owner })) ?? {};
		const address = route.replace(/:(\w+)/g, (_, name) => path[name] ?? `no-${name}`);
		const { status, body: responseBody } = await shop.http(
			query ? `${address}?${query}` : address,
			{
				...(token ? { token } : {}),
				...(body ? { body } : {}),
				...(csv ? { body: csv, headers: { "content-type": "text/csv" } } : {}),
				...(form
					? {
							body: String(new URLSearchParams(form)),
							headers: { "content-type": "application/x-www-form-urlencoded" },
						}
					: {}),
			},
		);
		return { status, body: responseBody };
	}

	test.each(rows)("%s", async (route, row) => {
		const found: Record<string, number> = {};
		let owner: Customer | undefined;
		for (const caller of ["anonymous", "other", "owner", "admin"] as const) {
			// Logging out revokes the token, so this route requires new users.
			const logsOut = route.endsWith("logout-everywhere");
			owner ??= row.request || logsOut ? await register(shop) : bystander;
			const otherUser = logsOut ? await register(shop) : other;
			const admin = logsOut ? await makeAdmin(shop) : scene.admin;
			const token = {
				anonymous: undefined,
				other: otherUser.token,
				owner: owner.token,
				admin: admin.token,
			}[caller];
			const { status, body } = await request(route, row, owner, token);
			found[caller] = status;
			if (caller === "other" && row.hides) expect(JSON.stringify(body)).not.toContain(owner.id);
			if (caller === "owner" && row.hides) expect(JSON.stringify(body)).toContain(owner.id);
			// A rejected request has changed nothing, so the next caller can use the same owner.
			if (status < 400) owner = undefined;
			if (status === 401 || status === 403)
				expect(body).toMatchObject({ code: status === 401 ? "UNAUTHENTICATED" : "FORBIDDEN" });
		}
		const { anonymous, other: otherStatus, admin } = row;
		expect(found).toEqual({ anonymous, other: otherStatus, owner: row.owner, admin });
	});

	// The gateway verifies tokens, by the same code in every mode.
	if (mode === "cluster") return;
	test("routes for users reject an invalid token, and public routes ignore it", async () => {
		const errors: string[] = [];
		const owner = await register(shop);
		for (const [route, row] of Object.entries(table)) {
			for (const [kind, token] of Object.entries(badTokens)) {
				const byId = () => ({ path: { id: owner.id } });
				// The token that verifies an address is valid once, so each request has its own account.
				const account = route === "POST /api/users/verify-email" ? await register(shop) : owner;
				const { status } = await request(
					route,
					isPublic(row) ? row : { ...row, request: byId },
					account,
					token,
				);
				const expected = isPublic(row) ? row.anonymous : BAD_TOKEN;
				if (status !== expected)
					errors.push(`${route} responds with ${status} to a token that is ${kind}`);
			}
		}
		expect(errors).toEqual([]);
	});

	test("the invalid tokens are valid apart from their defects", async () => {
		const statusOf = async (token: string) =>
			(await clientOf(shop, { token }).users.list().withResponse()).status;
		expect(await statusOf(scene.admin.token)).toBe(200);
		const { header, payload } = jwt.decode(badTokens.expired!, { complete: true }) as {
			header: jwt.JwtHeader;
			payload: jwt.JwtPayload;
		};
		const { exp: _, iat: __, ...claims } = payload;
		const fresh = jwt.sign(claims, shop.secret, { keyid: header.kid!, expiresIn: 60 });
		expect(await statusOf(fresh)).toBe(200);
	});
};
