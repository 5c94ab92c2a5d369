import { replace } from "../patch.ts";

/**
 * Bug: a release without a reservation leaves no tombstone, so a late reservation holds its stock.
 */
await replace(
	"services/inventory/inventory.statements.ts",
	["RELEASE"],
	async (query, statement, values) => {
		const [ids] = values as [string[]];
		const held = await query("select order_id from reservations where order_id = any($1)", [ids]);
		const known = new Set(held.map((row) => (row as { order_id: string }).order_id));
		const remaining = values.map((value) =>
			Array.isArray(value) ? value.filter((_, i) => known.has(ids[i]!)) : value,
		);
		const released = known.size > 0 ? await query(statement, remaining) : [];
		return [
			...released,
			...ids.filter((id) => !known.has(id)).map((order_id) => ({ order_id, status: "released" })),
		];
	},
);
