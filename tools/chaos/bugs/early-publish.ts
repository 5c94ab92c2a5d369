import { setTimeout as after } from "node:timers/promises";
import { changed, replace } from "../patch.ts";

const PUBLISH = `insert into outbox (type, subject, data) select 'order.confirmed', id, event
		from unnest($1::text[], $2::json[]) as w(id, event)`;

/** Bug: publishes `order.confirmed` before it writes the order. The pause simulates a slow disk. */
await replace(
	"services/orders/saga/statements.ts",
	["COMPLETE"],
	async (query, statement, values) => {
		const [ids] = values;
		const events = values.find((value) => Array.isArray(value) && String(value[0]).startsWith("{"));
		await query(PUBLISH, [ids, events]);
		await after(1000);
		return query(changed(statement, /insert into outbox \([^)]*\)/, ""), values);
	},
);
