import type { Ctx } from "../../lib/contracts/contract.ts";
import type {} from "../orders/orders.contract.ts";
import type { Payment } from "./payments.rules.ts";

/**
 * Whether the caller may read a payment. The payment of a guest has no user, also after its order
 * has joined an account, which may happen at any time: before, while or after the order is charged.
 * Therefore the orders service returns the present owner.
 */
export async function isReadable(
	ctx: Ctx,
	{ order_id, user_id }: Pick<Payment, "order_id" | "user_id">,
): Promise<boolean> {
	const caller = ctx.meta.user!;
	if (caller.role === "admin" || user_id === caller.id) return true;
	if (user_id !== null) return false;
	const [order] = await ctx.call("orders.summaries", { ids: [order_id] });
	return order?.user_id === caller.id;
}
