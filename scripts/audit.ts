import { hostname } from "node:os";
import type { Call } from "../lib/contracts/contract.ts";
import { readCommandLine } from "../lib/process/command-line.ts";
import { type Program, runProgram } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { walkAudit } from "./audit/walk.ts";
import { progressBar } from "./progress-bar.ts";

const USAGE = `npm run audit -- [--since TIME | --all] [--json]
  --all            audits all orders; by default those of the last day
  --since TIME     audits orders placed since a time, such as 2026-01-31T12:00:00Z
  --json           prints the report as JSON, without a progress bar
Joins the cluster at TRANSPORTER. In the prompt of npm start, use "audit". Exits with code 1
after a violation.`;

const DAY = 86_400_000;
const JOIN_MS = 15_000;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run audit --",
		usage: USAGE,
		options: { since: { type: "string" }, all: { type: "boolean" }, json: { type: "boolean" } },
		convert({ since, all, json = false }) {
			if (since && all) throw new Error("--since and --all exclude each other");
			const time = since ? Date.parse(since) : Date.now() - DAY;
			if (Number.isNaN(time)) throw new Error(`--since must be a time, not "${since}"`);
			return { json, since: all ? undefined : new Date(time).toISOString() };
		},
	});

runProgram("audit", async (program) => {
	const { json, since } = await read(program);
	const env = readEnv();
	if (!env.TRANSPORTER)
		throw new StartError(
			"TRANSPORTER is not set: set it to the NATS server of the cluster. For a shop in one " +
				"process, enter audit at the prompt of npm start",
		);
	const options = brokerOptions({ ...env, NODEID: env.NODEID ?? `audit-${hostname()}` });
	const broker = createNode({ ...options, logger: false }, env, []);
	program.onEnd(3000, () => broker.stop());
	await program.step(broker.start(), {
		ms: JOIN_MS,
		late: "NATS did not respond: check TRANSPORTER",
	});
	await program.step(
		broker.waitForServices(
			["orders", "inventory", "payments", "shipping", "notifications"],
			JOIN_MS,
		),
		{
			ms: JOIN_MS,
			late: "not all services are available; the audit requires all of them",
		},
	);
	const bar = !json && process.stderr.isTTY;
	const report = await program.step(
		walkAudit(
			broker.call.bind(broker) as Call,
			since ? { since } : {},
			({ checked, skipped, total }) => {
				if (bar) process.stderr.write(`\r${progress(checked + skipped, total)}`);
			},
		),
	);
	if (bar) process.stderr.write("\r\x1b[K");
	if (json) console.log(JSON.stringify(report, null, "\t"));
	else {
		for (const { invariant, subject, detail } of report.violations)
			console.log(`${invariant.padEnd(26)} ${subject}  ${detail}`);
		const found =
			report.violations.length === 0 ? "no violations" : `${report.violations.length} violations`;
		console.log(
			`${report.checked} orders checked, ${report.skipped} skipped because they are in progress, ` +
				`${report.stuck} stuck: ${found}`,
		);
	}
	await program.stop(report.violations.length > 0 ? 1 : 0);
});

function progress(done: number, total: number): string {
	const part = total === 0 ? 1 : Math.min(1, done / total);
	return `${progressBar(part)} ${Math.round(part * 100)} %  ${done} of ${total} orders`;
}
