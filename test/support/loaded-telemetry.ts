import { registerHooks } from "node:module";

/** Preload script: logs each module of OpenTelemetry that a node loads. */
registerHooks({
	load(url, context, next) {
		if (url.includes("/@opentelemetry/")) process.stderr.write(`loaded ${url}\n`);
		return next(url, context);
	},
});
