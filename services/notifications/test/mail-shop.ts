import { afterAll, beforeAll, beforeEach, expect } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Infer } from "../../../lib/contracts/schema.ts";
import { database } from "../../../mixins/database.mixin.ts";
import { durableEvents } from "../../../mixins/durable-events.mixin.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { type MailServer, startMailServer } from "../../../test/support/mail-server.ts";
import { publisher, type Shop, startShop, stub } from "../../../test/support/shop.ts";
import type { orderSummary } from "../../orders/orders.contract.shapes.ts";
import { orders as ordersContract } from "../../orders/orders.contract.ts";
import { users } from "../../users/users.contract.ts";
import "../notifications.contract.ts";

/** ID of a change to an address that already has an account. */
export const TAKEN_CHANGE = 2;
const time = "2026-01-01T00:00:00.000Z";

export interface Message {
	id: string;
	event_id: string;
	status: string;
	attempts: number;
	last_error: string | null;
	sent_at: Date | null;
	data: object;
}
export type OrderSummary = Infer<typeof orderSummary>;
interface Options {
	readonly fullName: string;
	/** A user whose address is not verified. */
	readonly unverifiedUser?: string;
	/** A user who does not exist. */
	readonly missingUser?: string;
}

/** Registers hooks that start notifications, a mail server, and stubs of users and orders. */
export function mailShop({ fullName, unverifiedUser, missingUser }: Options) {
	let issuedTokens: number;
	let mailServer: MailServer;
	let shop: Shop;
	let publish: ReturnType<typeof publisher>;
	let publishForOrder: ReturnType<typeof publisher>;
	let ordersDown: boolean;
	let ordersRead: number;
	const orders = new Map<string, OrderSummary>();
	const token = () => `token${++issuedTokens}`;
	const user = (id: string) => ({
		id,
		email: `${id}@example.com`,
		full_name: fullName,
		role: "user" as const,
		is_active: true,
		is_verified: id !== unverifiedUser,
		created_at: time,
		updated_at: time,
	});
	const usersStub = () =>
		stub(
			users,
			{
				resolve: async ({ params: { ids } }) =>
					ids.map((id) => (id === missingUser ? null : user(id))),
				issueVerification: async () => ({ token: token() }),
				issuePasswordReset: async () => ({ token: token() }),
				issueEmailChange: async ({ params: { user_id, change_id } }) => ({
					email: `new-${user_id}@example.com`,
					token: change_id === TAKEN_CHANGE ? null : token(),
				}),
				issueEmailChangeUndo: async ({ params: { user_id } }) => ({
					email: `old-${user_id}@example.com`,
					token: token(),
				}),
			},
			database,
			durableEvents,
		);
	const ordersStub = () =>
		stub(
			ordersContract,
			{
				summaries: async ({ params: { ids } }) => {
					ordersRead++;
					if (ordersDown) throw new Errors.ServiceNotAvailableError({ action: "orders.summaries" });
					return ids.map((id) => orders.get(id) ?? null);
				},
			},
			database,
			durableEvents,
		);
	beforeAll(async () => {
		mailServer = await startMailServer();
		shop = await startShop({
			services: ["notifications"],
			env: {
				SMTP_URL: mailServer.url,
				MAIL_FROM: "The Shop <shop@mail.example.com>",
				PUBLIC_URL: "https://shop.example.com",
				EVENT_BACKOFF: "0.01,0.02",
			},
			stubs: [usersStub(), ordersStub()],
		});
		publish = publisher(shop.broker, "users");
		publishForOrder = publisher(shop.broker, "orders");
	});
	afterAll(async () => {
		await shop?.stop();
		await mailServer?.stop();
	});
	beforeEach(() => {
		issuedTokens = 0;
		ordersDown = false;
		ordersRead = 0;
		mailServer.replyTo = () => undefined;
	});
	return {
		get mailServer() {
			return mailServer;
		},
		/** Starts a stopped mail server again on its port. */
		async restartMailServer(): Promise<void> {
			mailServer = await startMailServer(mailServer.port);
		},
		/** Number of tokens that the users service has issued in the current test. */
		get issuedTokens() {
			return issuedTokens;
		},
		get shop() {
			return shop;
		},
		get publish() {
			return publish;
		},
		/** Orders that the orders service returns, by ID. */
		orders,
		/** Makes the orders service unavailable, until `startOrders` or the end of the test. */
		stopOrders(): void {
			ordersDown = true;
		},
		startOrders(): void {
			ordersDown = false;
		},
		/** Number of requests for orders in the current test. */
		get ordersRead() {
			return ordersRead;
		},
		get publishForOrder() {
			return publishForOrder;
		},
		/** Publishes the registration of a user, who receives a welcome message. */
		async register(user_id: string = uuid()): Promise<string> {
			await publish("user.created", user_id, {
				user_id,
				email: "old@example.com",
				full_name: "Grace",
			});
			return user_id;
		},
		/** Waits until the message to a user has a status, and returns its row. */
		waitForStatus: (user_id: string, status: string): Promise<Message> =>
			eventually(async () => {
				const [message] = await shop.databases.query<Message & Record<string, unknown>>(
					"notifications",
					"select * from messages where user_id = $1",
					[user_id],
				);
				expect(message?.status).toBe(status);
				return message!;
			}),
		mailsTo: (user_id: string) =>
			mailServer.mails.filter(({ headers }) => JSON.stringify(headers.get("to")).includes(user_id)),
	};
}
