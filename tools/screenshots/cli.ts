import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "../../clients/typescript/src/index.ts";
import { startEmbeddedPostgres } from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { noArguments, readCommandLine } from "../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { seedCatalogue } from "../../scripts/seed.ts";
import { chromiumPath, startBrowser } from "../../test/support/chromium.ts";
import { AdminConsole } from "../../test/support/console.ts";
import { makeTemplates, root } from "../../test/support/databases.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { insertHistory } from "./history.ts";

const OUTPUT = join(root, "docs/images/console.png");
const SIZE = { width: 1280, height: 900 };
const MAX_BYTES = 200_000;
const STOP_MS = 10_000;
const admin = { email: "admin@example.com", password: "only for the screenshot" };

/** Starts a shop with the demo catalogue, on an embedded Postgres in a temporary folder. */
async function openShop(program: Program): Promise<Shop> {
	const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-screenshots-"));
	// As root, Postgres runs as another user.
	await chmod(folder, 0o755);
	program.onEnd(STOP_MS, () => rm(folder, { recursive: true, force: true }));
	const dataDir = join(folder, "postgres");
	const postgres = await startEmbeddedPostgres({ dataDir, settings: { max_connections: "200" } });
	program.onEnd(STOP_MS, () => postgres.stop());
	const { host, port, user, password } = postgres;
	process.env.TEST_POSTGRES = `postgres://${user}:${password}@${host}:${port}/postgres`;
	await makeTemplates(process.env.TEST_POSTGRES);
	const shop = await startShop({ env: { NODEID: "shop" } });
	program.onEnd(STOP_MS, () => shop.stop());
	await seedCatalogue(shop.call, folder, () => undefined);
	return shop;
}

/** Adds accounts, orders of the last hour, and orders of this minute with different outcomes. */
async function fill(shop: Shop): Promise<void> {
	for (const [role, account] of [
		["admin", admin],
		["user", { ...admin, email: "customer@example.com" }],
	] as const)
		await shop.call("users.seed", { ...account, full_name: "Ada", role, is_verified: true });
	await insertHistory(shop.databases, Date.now());
	const client = createClient({ url: shop.url });
	await client.signIn({ ...admin, email: "customer@example.com" });
	const products = await client.products.list({ in_stock: true, limit: 8 });
	for (const [i, { id, parent_id, option_names }] of products.entries()) {
		if (option_names && !parent_id) continue;
		const items = [{ product_id: id, quantity: 1 + (i % 3) }];
		const payment_token = i === 3 ? "tok_declined" : "tok_ok";
		await client.orders.create({ items, payment_token }).catch(() => undefined);
	}
}

runProgram("screenshots", async (program) => {
	await readCommandLine(
		program,
		noArguments(
			"npm run screenshots --",
			"Writes docs/images/console.png: " +
				"the console's overview of a shop with demo data. Requires Chromium.",
		),
	);
	if (!chromiumPath)
		throw new StartError("Chromium is not installed (apt-get install chromium-headless-shell)");
	await promisify(execFile)(process.execPath, [join(root, "console/build.js")]);
	const shop = await program.step(openShop(program));
	await fill(shop);
	const browser = await startBrowser();
	program.onEnd(STOP_MS, () => browser.close());
	const console = await AdminConsole.open(browser, shop.url, "", SIZE);
	await console.signIn(admin);
	await console.panel("Orders").locator("canvas").waitFor();
	await console.panel("Queues of events").getByText("Dead letters").waitFor();
	await console.panel("HTTP requests").getByText("Mean latency").waitFor();
	await console.page.screenshot({ path: OUTPUT });
	const { size } = await stat(OUTPUT);
	if (size > MAX_BYTES)
		throw new StartError(`${OUTPUT} has ${size} bytes, the maximum is ${MAX_BYTES}`);
	process.stdout.write(`${OUTPUT}: ${Math.round(size / 1000)} kB\n`);
	await program.stop();
});
