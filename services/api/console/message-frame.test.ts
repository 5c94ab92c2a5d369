import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { type Shop, stub } from "../../../test/support/shop.ts";
import { notifications } from "../../notifications/notifications.contract.ts";
import { gateways } from "../test/gateways.ts";

const { start } = gateways();
const html =
	"<!doctype html>\n<html><head lang=en><title>Hello</title></head><body>Hi</body></html>";
const open = () =>
	start({
		stubs: [
			...stubbedServices(),
			stub(notifications, {
				get: async ({ params }) => ({
					...params,
					user_id: null,
					channel: "email" as const,
					template: "order_shipped" as const,
					subject: "Hello",
					status: "sent" as const,
					attempts: 1,
					sent_at: null,
					event_id: uuid(),
					to: "",
					text: "Hi",
					html,
				}),
			}),
		],
	});
const read = (shop: Shop, id: string = uuid(), role?: "user" | "admin") =>
	shop.http(
		`GET /api/notifications/${id}/html`,
		role ? { headers: { cookie: `console_access=${token(shop.env, role)}` } } : {},
	);

test("a message is a page in its own origin that runs and loads nothing", async () => {
	const shop = await open();
	const { status, headers, body } = await read(shop, uuid(), "admin");
	expect([status, headers.get("content-type"), headers.get("cache-control")]).toEqual([
		200,
		"text/html; charset=utf-8",
		"no-store",
	]);
	expect(body).toBe(html.replace("<head lang=en>", '<head lang=en><base target="_blank">'));
	const policy = headers.get("content-security-policy")!.split(";");
	expect(policy).toEqual(expect.arrayContaining(["default-src 'none'", "form-action 'none'"]));
	expect(policy[0]).toMatch(/^sandbox(?!.*allow-(scripts|same-origin|forms))/);
	expect(policy.join()).not.toMatch(/script-src|connect-src|https?:/);
	expect(headers.get("referrer-policy")).toBe("no-referrer");
});

test("a message has the access rule of its JSON form", async () => {
	const shop = await open();
	const encoded = await shop.http(`GET /api/notifications/${uuid()}/%68tml`);
	expect([encoded.status, encoded.body.code]).toEqual([401, "UNAUTHENTICATED"]);
	expect(await read(shop)).toMatchObject({ status: 401, body: { code: "UNAUTHENTICATED" } });
	expect(await read(shop, "1", "admin")).toMatchObject({
		status: 422,
		body: { errors: [{ field: "id" }] },
	});
	await shop.broker.destroyService("notifications");
	expect((await read(shop, uuid(), "admin")).status).toBe(503);
});
