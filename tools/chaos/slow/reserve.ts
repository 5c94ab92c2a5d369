import { setTimeout as after } from "node:timers/promises";
import { replace } from "../patch.ts";

/** Delays all reservations of stock, as on a busy disk, so that cancellations arrive first. */
await replace(
	"services/inventory/inventory.statements.ts",
	["RESERVE", "RESERVE_NEW"],
	async (query, statement, values) => {
		await after(100 + Math.random() * 400);
		return query(statement, values);
	},
);
