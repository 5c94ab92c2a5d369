import { setTimeout as after } from "node:timers/promises";
import { replace } from "../patch.ts";

/** Delays all redemptions, as on a busy disk, so that cancellations arrive first. */
await replace(
	"services/promotions/promotions.redemptions.statements.ts",
	["REDEEM_NEW", "LOCK_LIMITS"],
	async (query, statement, values) => {
		await after(100 + Math.random() * 400);
		return query(statement, values);
	},
);
