import { registerHooks } from "node:module";

/*
 * jest-light-runner runs tests in bare Node, so that a module is loaded once per process instead of
 * once per file. It defines Jest's functions as globals; this hook makes the imports of
 * `@jest/globals` resolve to them.
 */
const names = [
	"afterAll",
	"afterEach",
	"beforeAll",
	"beforeEach",
	"describe",
	"expect",
	"jest",
	"test",
];
const source = names.map((name) => `export const ${name} = globalThis.${name};`).join("\n");

registerHooks({
	resolve: (specifier, context, next) =>
		specifier === "@jest/globals"
			? { url: "jest-globals:", format: "module", shortCircuit: true }
			: next(specifier, context),
	load: (url, context, next) =>
		url === "jest-globals:" ? { format: "module", source, shortCircuit: true } : next(url, context),
});
