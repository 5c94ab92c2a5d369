import { changed, replace } from "../patch.ts";

/** Bug: a node's lease never expires, so no other node claims its sagas. */
await replace("services/orders/saga/statements.ts", ["HEARTBEAT"], (query, { text }, values) =>
	query(changed(text, "now() + make_interval", "timestamptz 'infinity' + make_interval"), values),
);
