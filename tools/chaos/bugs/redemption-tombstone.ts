import { replace } from "../patch.ts";

/**
 * Bug: a release without a redemption leaves no tombstone, so a late redemption keeps its uses.
 */
await replace(
	"services/promotions/promotions.redemptions.statements.ts",
	["RELEASE"],
	async (query, statement, values) => {
		const [ids] = values as [string[]];
		const held = await query("select order_id from redemptions where order_id = any($1)", [ids]);
		const known = new Set(held.map((row) => (row as { order_id: string }).order_id));
		const remaining = values.map((value) =>
			Array.isArray(value) ? value.filter((_, i) => known.has(ids[i]!)) : value,
		);
		const released = known.size > 0 ? await query(statement, remaining) : [];
		const missing = ids.filter((id) => !known.has(id));
		return [
			...released,
			...missing.map((order_id) => ({ order_id, status: "released", changed: false })),
		];
	},
);
