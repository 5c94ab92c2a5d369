import type { Ctx } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { approximateCount, pageOf } from "../../lib/persistence/approximate-count.ts";
import { type Database, sql } from "../../lib/persistence/database.ts";
import { firstIdAt } from "../../lib/persistence/id.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import type {} from "../users/users.contract.ts";
import type { orders } from "./orders.contract.ts";
import { toOrder } from "./orders.prices.rules.ts";
import { toStoredOrder } from "./orders.queries.ts";
import { assertTimeRange, buyerOf, type Order } from "./orders.rules.ts";
import { ORDER, type OrderRow } from "./orders.statements.ts";

type Filter = "user_id" | "status" | "from" | "to";
const conditions: Readonly<Record<Filter, string>> = {
	user_id: "o.user_id =",
	status: "o.status =",
	from: "o.id >=",
	to: "o.id <",
};
/** Values of the filters. */
type Filters = { [F in Filter]?: string };
/** A customer with the address of an order, or with an account, whose orders have no address. */
interface Customer {
	readonly email: string;
	/** Null without an account. */
	readonly account: string | null;
}

/**
 * The action `orders.list`: one page of orders, newest first (IDs grow with time).
 * @throws FORBIDDEN, VALIDATION_ERROR
 */
export async function listOrders(
	db: Database,
	ctx: Ctx<Infer<typeof orders.actions.list.params>>,
): Promise<{ rows: Order[]; total: number }> {
	const { skip, limit, status, user_id, email, from, to } = ctx.params;
	const caller = ctx.meta.user!;
	if (email !== undefined && caller.role !== "admin") throw commonError("FORBIDDEN");
	assertTimeRange(from, to);
	const buyer = caller.role === "admin" ? user_id : buyerOf(caller, user_id);
	const filters: Filters = {
		...(buyer ? { user_id: buyer } : {}),
		...(status ? { status } : {}),
		...(from ? { from: firstIdAt(new Date(from)) } : {}),
		...(to ? { to: firstIdAt(new Date(to)) } : {}),
	};
	const customer = email === undefined ? undefined : await findCustomer(ctx, email);
	const { rows, all, values } = pageStatements(filters, customer);
	const [found, total] = await Promise.all([
		db.query<OrderRow>(rows, [...values, skip, limit]),
		approximateCount(db, all, values),
	]);
	return pageOf(
		found.map((row) => toOrder(toStoredOrder(row), row)),
		total,
		{ skip, limit },
	);
}

async function findCustomer(ctx: Pick<Ctx, "call">, email: string): Promise<Customer> {
	const account = await ctx.call("users.findByEmail", { email });
	return { email: canonicalEmail(email) ?? email, account: account?.id ?? null };
}

/**
 * The statement of a page, whose last parameters are `skip` and `limit`, and that of all rows. The
 * orders of a customer are those of two indexes, which one condition with OR would not combine.
 */
function pageStatements(filters: Filters, customer: Customer | undefined) {
	const names = Object.keys(filters) as Filter[];
	const where = names.map((name, i) => `${conditions[name]} $${i + 1}`);
	const values = names.map((name) => filters[name]!);
	const name = [...names, ...(customer ? ["email"] : [])].join("_") || "all";
	const next = values.length + 1;
	if (!customer) {
		const all = `from orders o where ${where.join(" and ") || "true"}`;
		return {
			rows: sql(
				`page_${name}`,
				`select ${ORDER} ${all} order by o.id desc offset $${next} limit $${next + 1}`,
			),
			all: sql(`count_${name}`, `select ${all}`),
			values,
		};
	}
	const ids = (column: string, parameter: number) =>
		`select id from orders o where ${[...where, `o.${column} = $${parameter}`].join(" and ")}`;
	const all = `from (${ids("email", next)} union ${ids("user_id", next + 1)}) as found`;
	return {
		rows: sql(
			`page_${name}`,
			`with page as (select id ${all} order by id desc offset $${next + 2} limit $${next + 3})
			select ${ORDER} from orders o join page on page.id = o.id order by o.id desc`,
		),
		all: sql(`count_${name}`, `select ${all}`),
		values: [...values, customer.email, customer.account],
	};
}
