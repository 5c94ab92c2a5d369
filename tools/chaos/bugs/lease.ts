import { changed, replace } from "../patch.ts";

/** Bug: a node's lease never expires, so no other node claims its sagas. */
await replace("services/orders/saga/statements.ts", ["HEARTBEAT"], (query, statement, values) =>
	query(
		changed(statement, "now() + make_interval", "timestamptz 'infinity' + make_interval"),
		values,
	),
);
