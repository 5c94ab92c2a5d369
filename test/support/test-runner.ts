import { createRequire, registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { ModernFakeTimers } from "@jest/fake-timers";
import { ModuleMocker } from "jest-mock";

/*
 * Runs a test file with jest-circus in the worker itself. Jest's own runtime loads all modules of
 * each file again in a vm context, which takes longer than most tests. Here Node loads them, so a
 * module is loaded once per worker, and its state is shared by the files of that worker.
 */

/** Its fourth parameter is Jest's runtime, which loads modules. */
type TestRunner = (...all: [unknown, unknown, unknown, object, ...unknown[]]) => Promise<unknown>;

const require = createRequire(import.meta.url);
const circus: TestRunner = require("jest-circus/runner").default;
const [TIMEOUT, EVENT_HANDLERS] = ["TEST_TIMEOUT_SYMBOL", "EVENT_HANDLERS"].map((name) =>
	Symbol.for(name),
) as [symbol, symbol];
const shared = globalThis as unknown as Record<string | symbol, unknown>;

/** Functions of the current test file: `test`, `describe`, `expect` … */
let current: Record<string, unknown> = {};
const mocker = new ModuleMocker(globalThis);
const config = { fakeTimers: {} } as never;
const timers = new ModernFakeTimers({ config, global: globalThis });
const jest = {
	fn: mocker.fn.bind(mocker),
	spyOn: mocker.spyOn.bind(mocker),
	restoreAllMocks: mocker.restoreAllMocks.bind(mocker),
	useFakeTimers: () => timers.useFakeTimers(),
	useRealTimers: () => timers.useRealTimers(),
	advanceTimersByTime: (milliseconds: number) => timers.advanceTimersByTime(milliseconds),
	setTimeout: (milliseconds: number) => {
		shared[TIMEOUT] = milliseconds;
	},
};

/** Exports of `@jest/globals`. Shared modules keep them, so they refer to the current file. */
const NAMES = [
	"afterAll",
	"afterEach",
	"beforeAll",
	"beforeEach",
	"describe",
	"expect",
	"test",
] as const;
const exported = Object.fromEntries(
	NAMES.map((name) => {
		const target = () => current[name] as (...all: unknown[]) => unknown;
		return [
			name,
			new Proxy(() => undefined, {
				apply: (_, __, values) => target()(...values),
				get: (_, key) => Reflect.get(target(), key),
			}),
		];
	}),
);
const KEY = "moleculer-commerce.jest";
shared[KEY] = { ...exported, jest };
const source = [...NAMES, "jest"]
	.map((name) => `export const ${name} = globalThis["${KEY}"].${name};`)
	.join("\n");
registerHooks({
	resolve: (specifier, context, next) =>
		specifier === "@jest/globals"
			? { url: "jest-globals:", format: "module", shortCircuit: true }
			: next(specifier, context),
	load: (url, context, next) =>
		url === "jest-globals:" ? { format: "module", source, shortCircuit: true } : next(url, context),
});

/** Number of runs by file: in watch mode, a file may run again in the same process. */
const runs = new Map<string, number>();

/** Implements Jest's option `testRunner`. */
export default async function run(...all: Parameters<TestRunner>): Promise<unknown> {
	const [, , , runtime] = all;
	Object.assign(runtime, {
		/** A new instance of jest-circus, because it holds the tests of one file. */
		requireInternalModule(path: string) {
			delete require.cache[path];
			delete shared[EVENT_HANDLERS];
			return require(path);
		},
		setGlobalsForRuntime(globals: Record<string, unknown>) {
			current = globals;
		},
		unstable_shouldLoadAsEsm: () => true,
		unstable_importModule(path: string) {
			const before = runs.get(path) ?? 0;
			runs.set(path, before + 1);
			return import(`${pathToFileURL(path)}${before === 0 ? "" : `?${before}`}`);
		},
	});
	try {
		return await circus(...all);
	} finally {
		delete shared[TIMEOUT];
		mocker.restoreAllMocks();
		timers.useRealTimers();
	}
}
