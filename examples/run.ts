import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ServiceSchema } from "moleculer";
import { readCommandLine } from "../lib/process/command-line.ts";
import { runProgram } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import { readEnv } from "../lib/settings/env.ts";
import { startBroker } from "../scripts/broker.ts";

const USAGE = `npm run example -- FILE
  Runs the service that FILE exports by default as a node of a running cluster.
  TRANSPORTER is the address of the cluster; docs/configuration.md lists the other settings.`;

runProgram(
	"example",
	async (program) => {
		const { file } = await readCommandLine(program, {
			command: "npm run example --",
			usage: USAGE,
			options: {},
			positionals: 1,
			convert(_, [path]) {
				if (path === undefined) throw new Error("The file of a service is missing");
				return { file: path };
			},
		});
		const given = readEnv();
		if (!given.TRANSPORTER)
			throw new StartError("TRANSPORTER is not set: it is the address of the cluster to join");
		const { default: schema } = (await import(pathToFileURL(resolve(file)).href)) as {
			default: ServiceSchema;
		};
		// Names the node after its service.
		await startBroker(program, { ...given, SERVICES: schema.name }, [schema]);
	},
	{ untilSignal: true },
);
