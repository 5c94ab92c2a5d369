import { replace } from "../patch.ts";

/** Releasing what was never reserved leaves nothing behind, so a reserve that comes late holds stock for ever. */
replace({ name: /^release$/, word: "reservations" }, async (query, { text }, values) => {
	const [ids] = values as [string[]];
	const held = await query("select order_id from reservations where order_id = any($1)", [ids]);
	const known = new Set(held.map((row) => (row as { order_id: string }).order_id));
	const kept = values.map((value) =>
		Array.isArray(value) ? value.filter((_, i) => known.has(ids[i]!)) : value,
	);
	const released = known.size > 0 ? await query(text, kept) : [];
	return [
		...released,
		...ids.filter((id) => !known.has(id)).map((order_id) => ({ order_id, status: "released" })),
	];
});
