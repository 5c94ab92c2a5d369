import { randomBytes } from "node:crypto";
import { type Customer, makeProduct, register } from "../support/builders.ts";
import type { AnyShop } from "./shape.ts";

/** What a request is about: somebody's things, made anew for each request so that none spoils the next. */
export interface Scene {
	readonly shop: AnyShop;
	readonly admin: Customer;
	readonly owner: Customer;
}
interface Request {
	/** What stands in the path, by name. */
	readonly path?: Readonly<Record<string, string>>;
	readonly query?: string;
	readonly body?: object;
	/** A body as HTML forms send it. */
	readonly form?: Readonly<Record<string, string>>;
}
export interface Row {
	/** Status by who asks: without a token, a user who has nothing to do with it, whose it is, an administrator. */
	readonly nobody: number;
	readonly other: number;
	readonly owner: number;
	readonly admin: number;
	/** Everybody gets an answer, but nothing of the owner's is in anybody else's. */
	readonly hides?: true;
	request?(scene: Scene): Request | Promise<Request>;
}
/** Status of a route that requires a user, for a request without a token or with an invalid one. */
export const BAD_TOKEN = 401;

const everybody = (status: number, request?: Row["request"]): Row => ({
	nobody: status,
	other: status,
	owner: status,
	admin: status,
	...(request ? { request } : {}),
});
const users = (status: number, request?: Row["request"]): Row => ({
	...everybody(status, request),
	nobody: 401,
});
/** Whether it is there is nobody else's business: 404. Whose account it is tells the path itself: 403. */
const own = (status: number, request: NonNullable<Row["request"]>, other: 403 | 404): Row => ({
	...users(status, request),
	other,
});
const admins = (status: number, request?: Row["request"]): Row => ({
	...users(403, request),
	admin: status,
});

const unique = () => randomBytes(6).toString("hex");
const password = "correct horse";
const account = () => ({ email: `${unique()}@example.com`, password, full_name: "A Customer" });

const self = ({ owner }: Scene) => ({ path: { id: owner.id } });
/** Of a mailed link: one that a test issued itself would be replaced by the one for the mail. */
const mailedToken = async (shop: AnyShop, user: Pick<Customer, "id" | "email">, template: string) =>
	/token=([\w-]+)/.exec(await shop.letter(user, template))![1]!;
const changeOfAddress = async (shop: AnyShop) => {
	const { id, token, email } = await register(shop);
	const moved = `new-${email}`;
	await shop.http(`PATCH /api/users/${id}`, {
		token,
		body: { email: moved, current_password: password },
	});
	return { id, email, moved };
};
const product = async ({ shop, admin }: Scene) => (await makeProduct(shop, admin)).id;
const stock = async (scene: Scene) => ({ path: { product_id: await product(scene) } });
const place = async (scene: Scene) => {
	const body = { items: [{ product_id: await product(scene), quantity: 1 }] };
	return (await scene.shop.http("POST /api/orders", { token: scene.owner.token, body })).body
		.id as string;
};
const placed = async (scene: Scene) => {
	await place(scene);
	return {};
};
const order = async (scene: Scene) => ({ path: { id: await place(scene) } });
const payment = async (scene: Scene) => {
	const { body } = await scene.shop.http(`GET /api/payments?order_id=${await place(scene)}`, {
		token: scene.owner.token,
	});
	return { path: { id: body[0].id } };
};
const message = async ({ shop, owner }: Scene) => {
	for (;;) {
		const { body } = await shop.http("GET /api/notifications", { token: owner.token });
		if (body.length > 0) return { path: { id: body[0].id } };
	}
};
const welcomed = async (scene: Scene) => {
	await message(scene);
	return {};
};

/** Who may do what: every route of every service, and the gateway's own pages. */
export const table: Readonly<Record<string, Row>> = {
	"GET /": everybody(200),
	"GET /health": everybody(200),
	"GET /health/live": everybody(200),
	"GET /health/ready": everybody(200),
	"GET /openapi.json": everybody(200),
	"GET /asyncapi.json": everybody(200),
	"GET /docs": everybody(200),
	"GET /docs/errors": everybody(200),
	"GET /docs/page.js": everybody(200),
	"GET /docs/swagger-ui-bundle.js": everybody(200),
	"GET /docs/swagger-ui.css": everybody(200),

	"GET /verify-email": everybody(200, () => ({ query: "token=x" })),
	"GET /password-reset": everybody(200, () => ({ query: "token=x" })),
	"GET /email-change": everybody(200, () => ({ query: "token=x" })),
	"GET /email-change/undo": everybody(200, () => ({ query: "token=x" })),
	"POST /verify-email": everybody(422, () => ({ form: { token: "unknown" } })),
	"POST /password-reset": everybody(422, () => ({
		form: { token: "unknown", new_password: "battery staple" },
	})),
	"POST /email-change": everybody(422, () => ({ form: { token: "unknown" } })),
	"POST /email-change/undo": everybody(422, () => ({
		form: { token: "unknown", new_password: "battery staple" },
	})),

	"POST /api/users": everybody(201, () => ({ body: account() })),
	"POST /api/users/login": everybody(200, ({ owner }) => ({
		body: { email: owner.email, password: owner.password },
	})),
	"POST /api/users/verify-email": everybody(204, async ({ shop, owner }) => ({
		body: { token: await mailedToken(shop, owner, "welcome") },
	})),
	"POST /api/users/password-reset": everybody(202, () => ({ body: { email: account().email } })),
	"POST /api/users/password-reset/confirm": everybody(204, async ({ shop }) => {
		const { id } = await register(shop);
		return {
			body: {
				...(await shop.call("users.issuePasswordReset", { user_id: id })),
				new_password: "battery staple",
			},
		};
	}),
	"POST /api/users/email-change/confirm": everybody(204, async ({ shop }) => {
		const { id, moved } = await changeOfAddress(shop);
		return { body: { token: await mailedToken(shop, { id, email: moved }, "email_change") } };
	}),
	"POST /api/users/email-change/undo": everybody(204, async ({ shop }) => {
		const token = await mailedToken(shop, await changeOfAddress(shop), "email_change_notice");
		return { body: { token, new_password: "battery staple" } };
	}),
	"POST /api/auth/refresh": everybody(200, async ({ shop, owner }) => {
		const { body } = await shop.http("POST /api/users/login", {
			body: { email: owner.email, password: owner.password },
		});
		return { body: { refresh_token: body.refresh_token } };
	}),
	"POST /api/auth/logout": everybody(204, () => ({ body: { refresh_token: "nobody's" } })),
	"GET /api/users": admins(200),
	"GET /api/users/me": users(200),
	"GET /api/users/:id": own(200, self, 403),
	"PATCH /api/users/:id": own(
		200,
		(scene) => ({ ...self(scene), body: { full_name: "Another Name" } }),
		403,
	),
	"PUT /api/users/:id": own(
		200,
		(scene) => ({ ...self(scene), body: { full_name: "Another Name" } }),
		403,
	),
	"DELETE /api/users/:id": admins(204, self),
	"POST /api/users/:id/password": {
		...own(
			204,
			(scene) => ({
				...self(scene),
				body: { current_password: password, new_password: "battery staple" },
			}),
			403,
		),
		admin: 403,
	},

	"POST /api/products": admins(201, () => ({
		body: { name: "A thing", price: 1, category: "things" },
	})),
	"GET /api/products": everybody(200),
	"GET /api/products/:id": everybody(200, async (scene) => ({
		path: { id: await product(scene) },
	})),
	"PATCH /api/products/:id": admins(200, async (scene) => ({
		path: { id: await product(scene) },
		body: { price: 2 },
	})),
	"PUT /api/products/:id": admins(200, async (scene) => ({
		path: { id: await product(scene) },
		body: { price: 2 },
	})),
	"DELETE /api/products/:id": admins(204, async (scene) => ({
		path: { id: await product(scene) },
	})),
	"GET /api/inventory/:product_id": everybody(200, stock),
	"PUT /api/inventory/:product_id": admins(200, async (scene) => ({
		...(await stock(scene)),
		body: { on_hand: 7 },
	})),
	"POST /api/inventory/:product_id/adjustments": admins(201, async (scene) => ({
		...(await stock(scene)),
		body: { delta: 1, reason: "Found one" },
	})),

	"POST /api/orders": users(201, async (scene) => ({
		body: { items: [{ product_id: await product(scene), quantity: 1 }] },
	})),
	"GET /api/orders": { ...users(200, placed), hides: true },
	"GET /api/orders/:id": own(200, order, 404),
	"GET /api/orders/:id/timeline": own(200, order, 404),
	// Of an order that is over, or the answer would not end.
	"GET /api/orders/:id/events": own(
		200,
		async (scene) => {
			const { path } = await order(scene);
			await scene.shop.http(`POST /api/orders/${path.id}/cancel`, { token: scene.owner.token });
			return { path };
		},
		404,
	),
	"POST /api/orders/:id/cancel": own(200, order, 404),
	"POST /api/orders/:id/ship": admins(200, order),
	"POST /api/orders/:id/deliver": admins(200, async (scene) => {
		const { path } = await order(scene);
		await scene.shop.http(`POST /api/orders/${path.id}/ship`, { token: scene.admin.token });
		return { path };
	}),
	"GET /api/payments": {
		...users(200, async (scene) => ({ query: `order_id=${await place(scene)}` })),
		hides: true,
	},
	"POST /api/payments/:id/refunds": admins(201, payment),
	"GET /api/notifications": { ...users(200, welcomed), hides: true },
	"GET /api/notifications/:id": own(200, message, 404),

	// Last: it signs out whoever is tried.
	"POST /api/auth/logout-everywhere": users(204),
};
