import { hostname } from "node:os";
import { join } from "node:path";
import type { ServiceBroker } from "moleculer";
import { destination } from "pino";
import { Log } from "../lib/observability/logging/log.ts";
import { formatForTerminal } from "../lib/observability/logging/pretty.ts";
import { printUsage, requestsHelp } from "../lib/process/command-line.ts";
import { type Program, runProgram } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import { type Env, readEnv } from "../lib/settings/env.ts";
import { createNode, serviceNames } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { openPrompt } from "./prompt.ts";
import { help, overview, type ParsedCommand, parse, render } from "./repl/commands.ts";
import { explain, explainAsJson } from "./repl/errors.ts";
import { Operator } from "./repl/operator.ts";

const USAGE = `npm run repl                        opens a prompt in the cluster at TRANSPORTER
npm run repl -- COMMAND [--json]    runs one command; exits with code 1 if it fails
npm run repl -- COMMAND --help      shows the usage of a command, with examples

npm run repl -- call orders.list '{"limit":5}'
npm run repl -- nodes --json

Calls run as an administrator. stdout contains the result (with --json, as JSON); stderr contains
the log and errors.`;

const JOIN_MS = 15_000;
/** Time for nodes to introduce themselves. Services that are missing after it are reported. */
const DISCOVERY_MS = 2000;
const DISCOVERY_INTERVAL_MS = 20;

/**
 * Parses a command before this process joins the cluster.
 * @throws StartError naming the wrong argument
 */
function parseCommand(words: readonly string[]): ParsedCommand {
	try {
		return parse(words, "once");
	} catch (error) {
		throw new StartError((error as Error).message);
	}
}

runProgram("repl", async (program) => {
	const words = process.argv.slice(2);
	if (requestsHelp(words)) {
		const topic = words.filter((word) => !word.startsWith("-"));
		return printUsage(program, help(topic) ?? `${USAGE}\n\nCommands:\n${overview()}`);
	}
	const command = words.length > 0 ? parseCommand(words) : undefined;
	const given = readEnv();
	if (!given.TRANSPORTER)
		throw new StartError(
			"TRANSPORTER is not set: " +
				"set it to the NATS server of a cluster, or use the prompt of npm start",
		);
	// This node runs no services, whatever SERVICES selects.
	const env = { ...given, NODEID: given.NODEID ?? `repl-${hostname()}` };
	const options = brokerOptions(env, undefined, new Log({ ...env, SERVICES: "repl" }));
	const broker = createNode({ ...options, ...(command ? { logger: false } : {}) }, env, []);
	const stop = broker.stop.bind(broker);
	program.onEnd(3000, () => stop());
	await program.step(broker.start(), {
		ms: JOIN_MS,
		late: "NATS did not respond: check TRANSPORTER",
	});
	if (!command) return openPrompt(broker, program);
	const succeeded = await runOnce(program, broker, env, command);
	await program.stop(succeeded ? 0 : 1);
});

/** Runs one command. Prints the result on stdout and an error on stderr; false after an error. */
async function runOnce(
	program: Program,
	broker: ServiceBroker,
	env: Env,
	{ run, asJson }: ParsedCommand,
): Promise<boolean> {
	const names = serviceNames(join(import.meta.dirname, "../services"));
	await program.step(
		broker.waitForServices(names, DISCOVERY_MS, DISCOVERY_INTERVAL_MS).catch(() => undefined),
	);
	const available = broker.registry.getServiceList({ onlyAvailable: true }).map(({ name }) => name);
	const missing = names.filter((name) => !available.includes(name));
	if (missing.length > 0 && !asJson) console.error(`Unavailable services: ${missing.join(", ")}`);
	const write = logToStderr(env);
	const operator = new Operator(broker, (fields, message) => write("info", [message, fields]));
	try {
		console.log(render(await program.step(run(broker, operator)), asJson));
		return true;
	} catch (error) {
		console.error(asJson ? explainAsJson(error) : explain(error));
		return false;
	}
}

/** The log of a one-shot command, separate from stdout, which contains only the result. */
function logToStderr(env: Env) {
	const stderr = destination({ dest: 2, sync: true });
	const isJson = (env.LOG_FORMAT ?? (env.NODE_ENV === "production" ? "json" : "pretty")) === "json";
	const lines = isJson
		? stderr
		: { write: (line: string) => void stderr.write(formatForTerminal(line, process.stderr.isTTY)) };
	return new Log({ ...env, SERVICES: "repl" }, lines).getLogHandler({ mod: "repl" });
}
