import { join } from "node:path";
import { printUsage, requestsHelp } from "../lib/process/command-line.ts";
import { runProgram } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode, serviceNames } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { openPrompt } from "./prompt.ts";
import { explain, overview, parse } from "./repl/commands.ts";

const USAGE = `npm run repl                 a prompt inside the cluster at TRANSPORTER
npm run repl -- COMMAND      carries out one of these and ends, with 1 if that failed`;

const JOIN_MS = 15_000;
/** Nodes answer one that joins within a moment; who has not by then is told of and left out. */
const MEET_MS = 2000;

/** Parses a command before this process joins the cluster. @throws StartError naming the wrong argument */
function parseCommand(words: readonly string[]): ReturnType<typeof parse> {
	try {
		return parse(words);
	} catch (error) {
		throw new StartError((error as Error).message);
	}
}

runProgram("repl", async (program) => {
	const words = process.argv.slice(2);
	if (requestsHelp(words)) return printUsage(program, `${USAGE}\n\n${overview()}`);
	const command = words.length > 0 ? parseCommand(words) : undefined;
	const env = readEnv();
	if (!env.TRANSPORTER)
		throw new StartError(
			"TRANSPORTER is not set: this joins a cluster (npm start has a prompt of its own)",
		);
	const broker = createNode(
		{ ...brokerOptions(env), ...(command ? { logger: false } : {}) },
		env,
		[],
	);
	const stop = broker.stop.bind(broker);
	program.onEnd(3000, () => stop());
	await program.step(broker.start(), {
		ms: JOIN_MS,
		late: "NATS did not answer: correct TRANSPORTER",
	});
	if (!command) return openPrompt(broker, program);

	const names = serviceNames(join(import.meta.dirname, "../services"));
	await program.step(broker.waitForServices(names, MEET_MS).catch(() => undefined));
	const there = broker.registry.getServiceList({ onlyAvailable: true }).map(({ name }) => name);
	const missing = names.filter((name) => !there.includes(name));
	if (missing.length > 0) console.error(`Not there: ${missing.join(", ")}`);
	try {
		console.log(await program.step(command(broker)));
	} catch (error) {
		console.error(explain(error));
		return program.stop(1);
	}
	await program.stop();
});
