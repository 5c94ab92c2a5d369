import { changed, replace } from "../patch.ts";

/** A node's lease never runs out, so nobody takes over what it leaves. */
replace({ name: /^beat$/, word: "saga_nodes" }, (query, { text }, values) =>
	query(changed(text, "now() + make_interval", "timestamptz 'infinity' + make_interval"), values),
);
