import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "./databases.ts";

interface TestFile {
	readonly path: string;
}
type Sequencer = new (
	options: unknown,
) => { sort(files: TestFile[]): TestFile[] | Promise<TestFile[]> };

const require = createRequire(import.meta.url);
const TestSequencer: Sequencer = require("@jest/test-sequencer").default;

/**
 * Files that take longer than twelve seconds, the longest first. Jest estimates the duration of a
 * file by its size until it has run, but these files are small.
 */
const LONG = [
	"test/e2e/cluster.test.ts",
	"test/e2e/embedded.test.ts",
	"test/cluster/one-of-each.test.ts",
	"test/e2e/console.failures.test.ts",
	"scripts/start.test.ts",
	"test/e2e/carts-nodes.test.ts",
	"test/e2e/console.catalogue.test.ts",
	"mixins/durable-events.jetstream.test.ts",
	"scripts/repl.test.ts",
	"test/cluster/load.test.ts",
	"test/e2e/console.messages.test.ts",
	"test/e2e/console.pricing.test.ts",
	"test/e2e/orders-nodes.test.ts",
	"test/e2e/console.customers.test.ts",
	"test/e2e/console.pages.test.ts",
	"test/e2e/console.orders.test.ts",
	"test/patterns.test.ts",
	"test/cluster/stripe.test.ts",
	"test/e2e/chaos.test.ts",
	"mixins/durable-events.storm.test.ts",
	"lib/persistence/embedded-postgres/embedded-postgres.test.ts",
	"scripts/start.failures.test.ts",
	"services/inventory/inventory.expiry.test.ts",
	"test/cluster/versions.test.ts",
	"services/payments/payments.refunds.test.ts",
	"services/payments/payments.pollers.test.ts",
	"test/cluster/coupons.test.ts",
	"test/cluster/shop.test.ts",
	"lib/caching/validated-cache.test.ts",
	"test/e2e/docs-page.test.ts",
	"services/promotions/promotions.expiry.test.ts",
	"test/cluster/outages.test.ts",
	"middlewares/calls.test.ts",
	"test/e2e/console.session.test.ts",
	"tools/documents/openapi.test.ts",
	"test/two-shops.test.ts",
	"services/orders/orders.cancel.test.ts",
	"test/cluster/large-messages.test.ts",
	"services/payments/payments.races.test.ts",
	"services/api/sse/event-streams.test.ts",
	"test/e2e/tracing.test.ts",
	"scripts/catalogue.test.ts",
	"test/readme.test.ts",
	"lib/caching/lease-cache.test.ts",
	"services/products/products.search.test.ts",
	"tools/bench/bench.test.ts",
];

/** Runs the longest files first, so that no worker is left with one of them at the end. */
export default class LongestFirst extends TestSequencer {
	override async sort(files: TestFile[]): Promise<TestFile[]> {
		const missing = LONG.filter((file) => !existsSync(join(root, file)));
		if (missing.length > 0)
			throw new Error(`test/support/sequencer.ts lists missing files: ${missing.join(", ")}`);
		const rank = ({ path }: TestFile) => {
			const index = LONG.findIndex((file) => path === join(root, file));
			return index < 0 ? LONG.length : index;
		};
		return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
	}
}
