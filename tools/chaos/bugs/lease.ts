import { changed, replace } from "../patch.ts";

/** Bug: a node's lease never expires, so no other node claims its sagas. */
replace({ name: /^beat$/, word: "saga_nodes" }, (query, { text }, values) =>
	query(changed(text, "now() + make_interval", "timestamptz 'infinity' + make_interval"), values),
);
