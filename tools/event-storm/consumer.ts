import { runProgram } from "../../lib/process/lifecycle.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { ALL_GROUPS, consumer } from "./services.ts";

/**
 * A node with the consumer groups named in its arguments, in a separate process that can be killed.
 */
runProgram(
	"consumer",
	async (program) => {
		const env = readEnv();
		const broker = createNode(
			brokerOptions(env),
			env,
			ALL_GROUPS.filter((group) => process.argv.includes(group)).map(consumer),
		);
		program.onEnd(env.DRAIN_MS, () => broker.stop());
		await program.step(broker.start());
	},
	{ untilSignal: true },
);
