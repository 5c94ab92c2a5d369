import { literal, Op, type WhereOptions, where } from "sequelize";
import type { Ctx } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { escapeLike } from "../../lib/persistence/like.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import type {} from "../orders/orders.contract.ts";
import type {} from "../users/users.contract.ts";
import type { notifications } from "./notifications.contract.ts";
import { listedUserId } from "./notifications.rules.ts";
import { templatesWithSubject } from "./notifications.templates.ts";

/** Accounts, and orders of guests, whose messages a search finds. */
const MAX_RECIPIENTS = 100;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;
const NONE = literal("false") as unknown as WhereOptions;

/**
 * Condition of the messages that a request for a list selects.
 * @throws FORBIDDEN, and outages of users or orders during a search
 */
export async function selectMessages(
	ctx: Ctx<Infer<typeof notifications.actions.list.params>>,
): Promise<WhereOptions> {
	const { user_id, status, template, q } = ctx.params;
	const caller = ctx.meta.user!;
	if (q !== undefined && caller.role !== "admin") throw commonError("FORBIDDEN");
	const owner = listedUserId(caller, user_id);
	return {
		...(owner ? { user_id: owner } : {}),
		...(status ? { status } : {}),
		...(template ? { template } : {}),
		...(q === undefined ? {} : { [Op.and]: [await matches(ctx, q)] }),
	};
}

/**
 * Condition of a search. Addresses belong to other services, and each template has one subject,
 * with the ID of its order. So a search needs no index on the text of millions of messages.
 */
async function matches(ctx: Pick<Ctx, "call">, q: string): Promise<WhereOptions> {
	const [userIds, orderIds] = await Promise.all([
		ctx.call("users.search", { q, limit: MAX_RECIPIENTS }),
		canonicalEmail(q) ? ctx.call("orders.findByEmail", { email: q, limit: MAX_RECIPIENTS }) : [],
	]);
	const subjects = templatesWithSubject(q);
	const mentioned = UUID.exec(q)?.[0].toLowerCase();
	const alternatives: WhereOptions[] = [
		...(userIds.length > 0 ? [{ user_id: userIds }] : []),
		...(orderIds.length > 0 ? [{ user_id: null, [Op.and]: [isAbout(orderIds)] }] : []),
		...(subjects.length > 0 ? [{ template: subjects }] : []),
		...(mentioned
			? [{ subject: { [Op.iLike]: `%${escapeLike(q)}%` }, [Op.and]: [isAbout([mentioned])] }]
			: []),
	];
	return alternatives.length > 0 ? { [Op.or]: alternatives } : NONE;
}

const isAbout = (orderIds: readonly string[]): WhereOptions =>
	where(literal("data ->> 'order_id'"), { [Op.in]: [...orderIds] }) as unknown as WhereOptions;
