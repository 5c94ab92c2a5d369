import type { Call, Ctx } from "../../lib/contracts/contract.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import type {} from "../users/users.contract.ts";
import type { delivery, notification } from "./notifications.contract.ts";
import { readOrders } from "./notifications.orders.ts";
import { type Content, recipientOf } from "./notifications.rules.ts";
import { DELIVERIES } from "./notifications.statements.ts";

type Notification = Infer<typeof notification>;
type Row = Content & {
	readonly id: string;
	readonly user_id: string | null;
	readonly last_error: string | null;
};

/**
 * Adds recipients and last errors to messages, for an administrator. Recipients that another
 * service does not return are null, so that messages can be listed during its outage.
 */
export async function withDeliveries(
	db: Queryable,
	ctx: Pick<Ctx, "call">,
	messages: readonly Notification[],
): Promise<(Notification & Infer<typeof delivery>)[]> {
	const rows = await db.query<Row>(DELIVERIES, [messages.map(({ id }) => id)]);
	const ids = [...new Set(rows.flatMap(({ user_id }) => user_id ?? []))];
	const toGuests = rows.filter(({ user_id }) => user_id === null);
	const [users, orders] = await Promise.all([
		ids.length > 0 ? ctx.call("users.resolve", { ids }).catch(() => []) : [],
		readOrders(ctx.call.bind(ctx) as Call, toGuests).catch(() => []),
	]);
	const accounts = new Map(users.flatMap((user) => (user ? [[user.id, user]] : [])));
	const orderOf = new Map(toGuests.map((row, i) => [row.id, orders[i] ?? null]));
	const deliveries = new Map(
		rows.map((row) => {
			const account = accounts.get(row.user_id ?? "") ?? null;
			const recipient = recipientOf(row, account, orderOf.get(row.id) ?? null);
			return [row.id, { recipient, error: row.last_error }];
		}),
	);
	return messages.map((message) => ({ ...message, ...deliveries.get(message.id) }));
}
