import { globSync, readFileSync } from "node:fs";
import base from "./jest.config.js";

/** Marks of a test that starts a server, a process or a shop, or that takes long. */
const IMPURE =
	/\.\/test-shop\.ts"|test\/support\/(?!eventually|imports|records)|"\.\.?\/([\w-]+\/)?test\/|test\/fake-nodes|\.\/support\/|support\.ts"|node:(child_process|http|https|net|worker_threads)"|"(pg|ioredis|nats|moleculer)"|TEST_POSTGRES|saga-explorer\/model/;

/** Pure tests: they start no server and no process. `npm run test:unit` runs them in seconds. */
const pure = globSync(
	"{clients,console/src,lib,middlewares,mixins,services,tools,test/support/stripe}/**/*.test.ts",
).filter((file) => !IMPURE.test(readFileSync(file, "utf8")));

export default {
	testEnvironment: base.testEnvironment,
	testRunner: base.testRunner,
	injectGlobals: false,
	transform: {},
	testMatch: pure.map((file) => `<rootDir>/${file}`),
	testTimeout: base.testTimeout,
	maxWorkers: 2,
};
