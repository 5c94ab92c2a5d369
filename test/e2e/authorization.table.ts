import { randomBytes, randomUUID } from "node:crypto";
import { isProblem } from "../../clients/typescript/src/index.ts";
import {
	type Customer,
	cancelOrder,
	makeProduct,
	orderRequest,
	placeOrder,
	register,
} from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import type { AnyShop } from "./shape.ts";

/** Users of a request. Each request uses new objects, so that requests are independent. */
export interface Scene {
	readonly shop: AnyShop;
	readonly admin: Customer;
	readonly owner: Customer;
}
interface Request {
	/** Path parameters by name. */
	readonly path?: Readonly<Record<string, string>>;
	readonly query?: string;
	readonly body?: object;
	/** Body of an HTML form. */
	readonly form?: Readonly<Record<string, string>>;
	/** Body of an upload. */
	readonly csv?: string;
}
export interface Row {
	// Expected status by caller: without a token, another user, the owner, an administrator.
	readonly anonymous: number;
	readonly other: number;
	readonly owner: number;
	readonly admin: number;
	/** Other users receive a response that does not contain the owner's data. */
	readonly hides?: true;
	request?(scene: Scene): Request | Promise<Request>;
}
/** Status of a route that requires a user, for a request without a token or with an invalid one. */
export const BAD_TOKEN = 401;

const anyone = (status: number, request?: Row["request"]): Row => ({
	anonymous: status,
	other: status,
	owner: status,
	admin: status,
	...(request ? { request } : {}),
});
const users = (status: number, request?: Row["request"]): Row => ({
	...anyone(status, request),
	anonymous: 401,
});
/**
 * Other users receive 404 if the existence of the object is private, and 403 if the path itself
 * names its owner.
 */
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
const postalAddress = {
	name: "A Customer",
	line1: "Unter den Linden 1",
	postal_code: "10117",
	city: "Berlin",
	country: "DE",
};
const savedAddress = async ({ shop, owner }: Scene) => {
	const { id } = owner;
	const address = await clientOf(shop, owner).users.addAddress({ id, ...postalAddress });
	return { path: { id, address_id: address.id } };
};
/** Token of a mailed link. A token that a test issued would be replaced when the mail is sent. */
const mailedToken = async (shop: AnyShop, user: Pick<Customer, "id" | "email">, template: string) =>
	/token=([\w-]+)/.exec(await shop.letter(user, template))![1]!;
const changeEmail = async (shop: AnyShop) => {
	const { id, token, email } = await register(shop);
	const newEmail = `new-${email}`;
	const change = { id, email: newEmail, current_password: password };
	await clientOf(shop, { token }).users.update(change);
	return { id, email, newEmail };
};
const product = async ({ shop, admin }: Scene, over = {}) =>
	(await makeProduct(shop, admin, over)).id;
const stock = async (scene: Scene) => ({ path: { product_id: await product(scene) } });
const place = async ({ shop, admin, owner }: Scene) => {
	const { body } = await placeOrder(shop, owner, await makeProduct(shop, admin));
	return body.id as string;
};
const cart = async ({ shop, owner }: Scene) => {
	const { id } = await clientOf(shop, owner).carts.create();
	return { path: { id } };
};
const cartLine = async (scene: Scene, { path }: Awaited<ReturnType<typeof cart>>) => ({
	path: { ...path, product_id: await product(scene) },
	body: { quantity: 1 },
});
const filledCart = async (scene: Scene) => {
	const opened = await cart(scene);
	const { path, body } = await cartLine(scene, opened);
	await clientOf(scene.shop, scene.owner).carts.setLine({ ...path, ...body });
	return { ...opened, body: { expected_total: 1_000_000 } };
};
const placed = async (scene: Scene) => {
	await place(scene);
	return {};
};
const order = async (scene: Scene) => ({ path: { id: await place(scene) } });
const payment = async (scene: Scene) => {
	const { payments } = clientOf(scene.shop, scene.owner);
	const [found] = await payments.list({ order_id: await place(scene) });
	return { path: { id: found!.id } };
};
const message = ({ shop, owner }: Scene) =>
	eventually(async () => {
		const [first] = await clientOf(shop, owner).notifications.list();
		if (!first) throw new Error("the customer has no message");
		return { path: { id: first.id } };
	});
/** A message that has been processed, so that it can be sent again. */
const orderMessage = async (scene: Scene) => {
	const order_id = await place(scene);
	return eventually(async () => {
		const { notifications } = clientOf(scene.shop, scene.owner);
		const messages = await notifications.list({ template: "order_confirmed" });
		const found = messages.find(({ subject }) => subject.includes(order_id));
		if (!found || found.status === "queued")
			throw new Error("the message about the order has not been processed");
		return { path: { id: found.id } };
	});
};
/** ID of a finished audit. Only one audit runs at a time. */
const finishedAudit = async ({ shop, admin }: Scene) => {
	const { orders } = clientOf(shop, admin);
	const id = await orders.startAudit({}).then(
		(audit) => audit.id,
		(error: unknown) => {
			if (isProblem(error, "AUDIT_RUNNING")) return error.data.audit_id as string;
			throw error;
		},
	);
	return eventually(async () => {
		const { status } = await orders.getAudit({ id });
		if (status === "running") throw new Error("the audit is running");
		return id;
	});
};
/** A promotion that has ended, so that it discounts no order of other tests. */
const coupon = () => ({
	body: {
		name: "Ten percent",
		effect: { type: "percent_off", value: 10 } as const,
		ends_at: "2020-01-01T00:00:00Z",
	},
});
const promotion = async ({ shop, admin }: Scene) => {
	const { id } = await clientOf(shop, admin).promotions.create(coupon().body);
	return { path: { id } };
};
const welcomed = async (scene: Scene) => {
	await message(scene);
	return {};
};

/** Access rules of every route of every service, and of the system endpoints. */
export const table: Readonly<Record<string, Row>> = {
	"GET /": anyone(200),
	"GET /health": anyone(200),
	"GET /health/live": anyone(200),
	"GET /health/ready": anyone(200),
	"GET /health/serving": anyone(200),
	...Object.fromEntries(
		["books", "clothes", "electronics", "garden", "home", "kitchen", "sports"].map((name) => [
			`GET /images/${name}.svg`,
			anyone(200),
		]),
	),
	"GET /openapi.json": anyone(200),
	"GET /asyncapi.json": anyone(200),
	"GET /docs": anyone(200),
	"GET /docs/errors": anyone(200),
	"GET /docs/page.js": anyone(200),
	"GET /docs/swagger-ui-bundle.js": anyone(200),
	"GET /docs/swagger-ui.css": anyone(200),

	"GET /console": anyone(200),
	"GET /console/:section": anyone(200, () => ({ path: { section: "orders" } })),
	"GET /console/:section/:id": anyone(200, () => ({ path: { section: "orders", id: "1" } })),
	"GET /console/:section/:id/:part": anyone(200, () => ({
		path: { section: "orders", id: "1", part: "edit" },
	})),
	"GET /console/assets/:file": anyone(404, () => ({ path: { file: "none.js" } })),
	// The rules of the session are those of its cookies: services/api/console/session.test.ts.
	"GET /console/session": anyone(200),
	"POST /console/session": anyone(403),
	"POST /console/session/refresh": anyone(403),
	"DELETE /console/session": anyone(403),

	"GET /order": anyone(400),
	"GET /verify-email": anyone(200, () => ({ query: "token=x" })),
	"GET /password-reset": anyone(200, () => ({ query: "token=x" })),
	"GET /email-change": anyone(200, () => ({ query: "token=x" })),
	"GET /email-change/undo": anyone(200, () => ({ query: "token=x" })),
	"POST /verify-email": anyone(422, () => ({ form: { token: "unknown" } })),
	"POST /password-reset": anyone(422, () => ({
		form: { token: "unknown", new_password: "battery staple" },
	})),
	"POST /email-change": anyone(422, () => ({ form: { token: "unknown" } })),
	"POST /email-change/undo": anyone(422, () => ({
		form: { token: "unknown", new_password: "battery staple" },
	})),

	"POST /api/users": anyone(201, () => ({ body: account() })),
	"POST /api/users/login": anyone(200, ({ owner }) => ({
		body: { email: owner.email, password: owner.password },
	})),
	"POST /api/users/verify-email": anyone(204, async ({ shop, owner }) => ({
		body: { token: await mailedToken(shop, owner, "welcome") },
	})),
	"POST /api/users/password-reset": anyone(202, () => ({ body: { email: account().email } })),
	"POST /api/users/password-reset/confirm": anyone(204, async ({ shop }) => {
		const { id } = await register(shop);
		return {
			body: {
				...(await shop.call("users.issuePasswordReset", { user_id: id })),
				new_password: "battery staple",
			},
		};
	}),
	"POST /api/users/email-change/confirm": anyone(204, async ({ shop }) => {
		const { id, newEmail } = await changeEmail(shop);
		return { body: { token: await mailedToken(shop, { id, email: newEmail }, "email_change") } };
	}),
	"POST /api/users/email-change/undo": anyone(204, async ({ shop }) => {
		const token = await mailedToken(shop, await changeEmail(shop), "email_change_notice");
		return { body: { token, new_password: "battery staple" } };
	}),
	"POST /api/auth/refresh": anyone(200, async ({ shop, owner }) => {
		const { email, password } = owner;
		const { refresh_token } = await clientOf(shop).auth.login({ email, password });
		return { body: { refresh_token } };
	}),
	"POST /api/auth/logout": anyone(204, () => ({ body: { refresh_token: "unknown" } })),
	"GET /api/users": admins(200),
	"GET /api/users/me": users(200),
	"POST /api/users/me/verification": { ...users(202), admin: 409 },
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
	"GET /api/users/:id/addresses": own(200, self, 403),
	"POST /api/users/:id/addresses": own(
		201,
		(scene) => ({ ...self(scene), body: postalAddress }),
		403,
	),
	"PATCH /api/users/:id/addresses/:address_id": own(
		200,
		async (scene) => ({ ...(await savedAddress(scene)), body: { city: "Potsdam" } }),
		403,
	),
	"DELETE /api/users/:id/addresses/:address_id": own(204, savedAddress, 403),
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
	"POST /api/products/:id/variants": admins(201, async (scene) => ({
		path: { id: await product(scene, { option_names: ["size"] }) },
		body: { options: { size: "M" } },
	})),
	"POST /api/products/import": admins(200, () => ({ csv: "sku\nunknown\n" })),
	"GET /api/products/export": admins(200),
	"GET /api/products": anyone(200),
	"GET /api/products/facets": anyone(200),
	"GET /api/categories": anyone(200),
	"POST /api/categories/rename": admins(200, () => ({ body: { from: "none", to: "other" } })),
	"GET /api/products/:id": anyone(200, async (scene) => ({
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
	"GET /api/inventory": admins(200, async (scene) => ({
		query: `product_ids=${await product(scene)}`,
	})),
	"GET /api/inventory/:product_id": anyone(200, stock),
	"PUT /api/inventory/:product_id": admins(200, async (scene) => ({
		...(await stock(scene)),
		body: { on_hand: 7 },
	})),
	"POST /api/inventory/:product_id/adjustments": admins(201, async (scene) => ({
		...(await stock(scene)),
		body: { delta: 1, reason: "Found one" },
	})),

	"GET /api/promotions": admins(200),
	"GET /api/promotions/:id": admins(200, promotion),
	"POST /api/promotions": admins(201, coupon),
	"PATCH /api/promotions/:id": admins(200, async (scene) => ({
		...(await promotion(scene)),
		body: { usage_limit: 100 },
	})),
	"DELETE /api/promotions/:id": admins(204, promotion),
	"GET /api/tax/rates": admins(200),
	"PUT /api/tax/rates": admins(200, () => ({ body: [] })),
	"GET /api/shipping/methods": anyone(200),
	// Methods and rates would change the prices of other tests, so none are created.
	"POST /api/shipping/methods": admins(422, () => ({
		body: { code: "standard", name: "Standard", price: 1, currency: "ABC" },
	})),
	"PATCH /api/shipping/methods/:code": admins(404, () => ({
		path: { code: "unknown" },
		body: { price: 2 },
	})),
	"DELETE /api/shipping/methods/:code": admins(404, () => ({ path: { code: "unknown" } })),

	"GET /api/operations/nodes": admins(200),
	"GET /api/operations/queues": admins(200),
	"GET /api/operations/dead-letters": admins(200),
	"GET /api/operations/dead-letters/:service/:event_id": admins(404, () => ({
		path: { service: "orders", event_id: randomUUID() },
	})),
	"POST /api/operations/dead-letters/retry": admins(200, () => ({
		body: { event_id: randomUUID() },
	})),
	"POST /api/operations/dead-letters/discard": admins(200, () => ({
		body: { event_id: randomUUID() },
	})),

	"POST /api/carts": anyone(201, () => ({ body: {} })),
	"POST /api/carts/preview": admins(200, async (scene) => ({
		body: { lines: [{ product_id: await product(scene), quantity: 1 }] },
	})),
	"GET /api/carts/:id": { ...own(200, cart, 404), anonymous: 404 },
	"PUT /api/carts/:id/lines/:product_id": {
		...own(200, async (scene) => cartLine(scene, await cart(scene)), 404),
		anonymous: 404,
	},
	"PATCH /api/carts/:id": {
		...own(
			200,
			async (scene) => ({ ...(await cart(scene)), body: { email: "a@example.com" } }),
			404,
		),
		anonymous: 404,
	},
	// An administrator may change any cart, but not take it over.
	"POST /api/carts/:id/claim": { ...own(200, cart, 404), admin: 404 },
	"POST /api/carts/:id/checkout": { ...own(201, filledCart, 404), anonymous: 404 },
	"DELETE /api/carts/:id": { ...own(204, cart, 404), anonymous: 404 },

	"POST /api/orders": users(201, async (scene) => ({
		body: orderRequest({ id: await product(scene) }),
	})),
	"GET /api/orders": { ...users(200, placed), hides: true },
	"GET /api/orders/statistics": admins(200, () => ({
		query: `from=${new Date(Date.now() - 1000).toISOString()}`,
	})),
	"GET /api/orders/stuck": admins(200),
	"POST /api/orders/audits": admins(202, async (scene) => {
		await finishedAudit(scene);
		return {};
	}),
	"GET /api/orders/audits": admins(200),
	"GET /api/orders/audits/:id": admins(200, async (scene) => ({
		path: { id: await finishedAudit(scene) },
	})),
	// The order is not stuck.
	"POST /api/orders/:id/retry": admins(409, order),
	"GET /api/orders/:id": own(200, order, 404),
	"GET /api/orders/:id/timeline": own(200, order, 404),
	// A cancelled order, whose event stream ends.
	"GET /api/orders/:id/events": own(
		200,
		async (scene) => {
			const { path } = await order(scene);
			await cancelOrder(clientOf(scene.shop, scene.owner), path);
			return { path };
		},
		404,
	),
	"POST /api/orders/:id/cancel": own(200, order, 404),
	"POST /api/orders/:id/ship": admins(200, order),
	"POST /api/orders/:id/refunds": admins(201, async ({ shop, owner, admin }) => {
		const { path } = await order({ shop, owner, admin });
		const { items } = await clientOf(shop, admin).orders.get(path);
		return { path, body: { items: [{ product_id: items[0]!.product_id, quantity: 1 }] } };
	}),
	"POST /api/orders/:id/deliver": admins(200, async (scene) => {
		const { path } = await order(scene);
		await clientOf(scene.shop, scene.admin).orders.ship(path);
		return { path };
	}),
	"GET /api/payments": {
		...users(200, async (scene) => ({ query: `order_id=${await place(scene)}` })),
		hides: true,
	},
	"GET /api/payments/:id": own(200, payment, 404),
	"POST /api/payments/:id/refunds": admins(201, payment),
	// The simulated provider sends no webhooks.
	"POST /api/payments/webhooks/:provider": anyone(404, () => ({ path: { provider: "stripe" } })),
	"GET /api/notifications": { ...users(200, welcomed), hides: true },
	"GET /api/notifications/:id": own(200, message, 404),
	"GET /api/notifications/:id/html": own(200, message, 404),
	"POST /api/notifications/:id/resend": admins(202, orderMessage),

	// Last, because it revokes the callers' tokens.
	"POST /api/auth/logout-everywhere": users(204),
};
