import { readEnv } from "../../lib/env.ts";
import { makeNode } from "../../lib/node.ts";
import { run } from "../../lib/program.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { consumer, GROUPS } from "./services.ts";

/** A node with every consumer group, as a process of its own that can be killed. */
run("consumer", async (program) => {
	const env = readEnv();
	const broker = makeNode(brokerOptions(env), env, GROUPS.map(consumer));
	program.onEnd(env.DRAIN_MS, () => broker.stop());
	await program.step(broker.start());
});
