import { replace } from "../patch.ts";

/** Releasing what was never reserved leaves nothing behind, so a reserve that comes late holds stock for ever. */
replace({ name: "release", word: "reservations" }, async (query, { text }, values) => {
	const [ids, facts] = values as [string[], string[]];
	const held = await query("select order_id from reservations where order_id = any($1)", [ids]);
	const known = new Set(held.map((row) => (row as { order_id: string }).order_id));
	const kept = ids.flatMap((id, i) => (known.has(id) ? [{ id, fact: facts[i] }] : []));
	const released = kept.length > 0 ? await query(text, [kept.map(({ id }) => id), kept.map(({ fact }) => fact)]) : [];
	return [...released, ...ids.filter((id) => !known.has(id)).map((order_id) => ({ order_id, status: "released" }))];
});
