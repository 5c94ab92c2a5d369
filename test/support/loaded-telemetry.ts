import { registerHooks } from "node:module";

/** Preloaded into a node that is to say when it loads anything of OpenTelemetry. */
registerHooks({
	load(url, context, next) {
		if (url.includes("/@opentelemetry/")) process.stderr.write(`loaded ${url}\n`);
		return next(url, context);
	},
});
