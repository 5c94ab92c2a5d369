import { setTimeout as after } from "node:timers/promises";
import { changed, replace } from "../patch.ts";

const TELL =
	"insert into outbox (type, subject, data) select 'order.confirmed', id, event from unnest($1::text[], $2::json[]) as w(id, event)";

/** The confirmation of an order is told before it is written. The pause stands for a slow disk. */
replace({ name: /^complete$/, word: "order.confirmed" }, async (query, { text }, values) => {
	const [ids] = values;
	const facts = values.find((value) => Array.isArray(value) && String(value[0]).startsWith("{"));
	await query(TELL, [ids, facts]);
	await after(1000);
	return query(changed(text, /insert into outbox \([^)]*\)/, ""), values);
});
