import { readFileSync } from "node:fs";
import { readCommandLine, wholeNumber } from "../../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../../lib/process/lifecycle.ts";
import type { Faults } from "./faults.ts";
import { startStripe } from "./server.ts";

const USAGE = `node test/support/stripe/cli.ts [options]
  --port 12111            port on 127.0.0.1; 0 selects a free port
  --seed 7                repeats the faults of an earlier run; random by default
  --webhook-url URL       receives all events; several options for several endpoints
  --webhook-secret TEXT   signs the events; several options during a rotation
  --api-key TEXT          accepted API key; sk_test_stand_in by default
  --faults FILE           JSON file with the probabilities of faults; see README.md
  --search-delay 0        seconds until search finds a new intent
Prints its URL and seed as JSON. Runs until SIGTERM.`;
const CLOSE_MS = 2000;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "node test/support/stripe/cli.ts",
		usage: USAGE,
		options: {
			port: { type: "string", default: "12111" },
			seed: { type: "string" },
			"webhook-url": { type: "string", multiple: true },
			"webhook-secret": { type: "string", multiple: true },
			"api-key": { type: "string" },
			faults: { type: "string" },
			"search-delay": { type: "string", default: "0" },
		},
		convert: (values) => ({
			port: wholeNumber("port", values.port, 0),
			...(values.seed !== undefined && { seed: wholeNumber("seed", values.seed, 0) }),
			webhookUrl: values["webhook-url"],
			webhookSecret: values["webhook-secret"],
			apiKey: values["api-key"],
			...(values.faults !== undefined && {
				faults: JSON.parse(readFileSync(values.faults, "utf8")) as Faults,
			}),
			searchDelaySeconds: wholeNumber("search-delay", values["search-delay"], 0),
		}),
	});

runProgram("stripe", async (program) => {
	const stripe = await startStripe(await read(program));
	program.onEnd(CLOSE_MS, () => stripe.close());
	console.log(JSON.stringify({ url: stripe.url, seed: stripe.seed }));
});
