import { spawn, spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, expect, test } from "@jest/globals";
import { root } from "./support/databases.ts";
import { eventually } from "./support/eventually.ts";
import { cleanUp, makeDataFolder, runScript } from "./support/program.ts";
import { testIf } from "./support/skip.ts";

afterEach(cleanUp);

// The tour requires curl.
const testWithCurl = testIf(
	!spawnSync("curl", ["--version"]).error,
	"curl is not installed (apt-get install curl)",
);

/** Settings of a shop. On a busy machine, an order may outlast the default wait of its request. */
const SETTINGS = { PORT: "0", ORDER_WAIT_MS: "9000" };

/** Bash blocks of a section. */
function blocks(markdown: string, section: string): string[] {
	const [, text = ""] = markdown.split(`\n## ${section}\n`);
	return [...text.split("\n## ")[0]!.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(
		([, block]) => block!,
	);
}

/** Starts a shell that keeps variables between blocks. `run` returns the output of a block. */
function openShell(cwd: string, env: Record<string, string>) {
	const shell = spawn("bash", [], {
		cwd,
		env: { PATH: process.env.PATH, ...env },
		stdio: ["pipe", "pipe", "pipe"],
	});
	const lines = createInterface(shell.stdout)[Symbol.asyncIterator]();
	let errors = "";
	shell.stderr.on("data", (chunk) => (errors += chunk));
	return {
		async run(block: string): Promise<string> {
			shell.stdin.write(`${block}\necho; echo "end of block"\n`);
			const printed: string[] = [];
			for (
				let line = await lines.next();
				line.value !== "end of block";
				line = await lines.next()
			) {
				if (line.done) throw new Error(`the shell exited: ${errors}`);
				printed.push(line.value);
			}
			expect(errors).toBe("");
			return printed.join("\n");
		},
		close: () => shell.stdin.end(),
	};
}

testWithCurl("the commands of the start screen and of the tour in the README succeed", async () => {
	const tour = blocks(await readFile(join(root, "README.md"), "utf8"), "A tour");
	const folder = await makeDataFolder();
	const program = runScript("start", { DATA_DIR: join(folder, ".data"), ...SETTINGS });
	const [, SHOP = "", suggestion = ""] = await program.waitForOutput(
		/open at (http\S+)[\s\S]*?( {2}TOKEN=[\s\S]*?)\n\n[\s\S]*Stop/,
	);
	const shell = openShell(folder, { SHOP });
	expect(await shell.run(suggestion)).toMatch(/"status":"confirmed"/);
	const [account, browsing, ordering, declined, shipping, mail] = tour;

	expect(await shell.run(account!)).toMatch(
		/"email":"me@example.com"[\s\S]*"email":"me@example.com"/,
	);
	expect(await shell.run(browsing!)).toMatch(/[Kk]nife[\s\S]*"available":\d+/);
	expect(await shell.run(ordering!)).toMatch(/"status":"confirmed"/);
	expect(await shell.run(declined!)).toMatch(/"code":"PAYMENT_DECLINED"/);
	expect(await shell.run(shipping!)).toMatch(/"status":"shipped"[\s\S]*"status":"delivered"/);
	await eventually(async () =>
		expect(await shell.run(mail!)).toMatch(/"template":"order_delivered"/),
	);
	expect(tour).toHaveLength(6);
	shell.close();
});

testWithCurl("the commands of the tour in docs/checkout.md succeed", async () => {
	const tour = blocks(await readFile(join(root, "docs/checkout.md"), "utf8"), "A tour");
	const folder = await makeDataFolder();
	const program = runScript("start", { DATA_DIR: join(folder, ".data"), ...SETTINGS });
	const [, SHOP = ""] = await program.waitForOutput(/open at (http\S+)[\s\S]*Stop/);
	const shell = openShell(folder, { SHOP });
	const [opening, line, details, ordering, completed] = tour;
	expect(await shell.run(opening!)).toMatch(/"status":"open"/);
	expect(await shell.run(line!)).toMatch(/"quantity":2/);
	expect(await shell.run(details!)).toMatch(/"problems":\[\]/);
	expect(await shell.run(ordering!)).toMatch(/"status":"confirmed"[\s\S]*"status":"confirmed"/);
	expect(await shell.run(completed!)).toMatch(/"status":"completed"[\s\S]*"code":"CART_COMPLETED"/);
	expect(tour).toHaveLength(5);
	shell.close();
});

test("the commands in the README exist in package.json", async () => {
	const text = await readFile(join(root, "README.md"), "utf8");
	const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
	const named = [...text.matchAll(/npm (?:run )?(start(?::node)?|test|[a-z:]+)/g)].map(
		([, name]) => name!,
	);
	expect([...new Set(named)].filter((name) => name !== "ci" && !(name in scripts))).toEqual([]);
	expect(await readFile(join(root, ".ci/run"), "utf8")).toMatch(
		/^step npm ci$[\s\S]*^step npm test$/m,
	);
	expect([blocks(text, "Run it"), blocks(text, "Test it")]).toEqual([
		["npm ci && npm start\n"],
		["npm ci && npm test\n"],
	]);
});
