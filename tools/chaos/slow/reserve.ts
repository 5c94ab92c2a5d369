import { setTimeout as after } from "node:timers/promises";
import { replace } from "../patch.ts";

/** Stock takes its time to be reserved, in whichever way, as on a disk that is busy, so that whatever takes the order back comes first. */
replace({ name: /^reserve/, word: "reservations" }, async (query, { text }, values) => {
	await after(100 + Math.random() * 400);
	return query(text, values);
});
