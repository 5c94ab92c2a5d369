import { loadServices } from "../../scripts/broker.ts";
import "../../scripts/databases.ts";
import "../../scripts/secrets.ts";
import "../../scripts/seed.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode, serviceNames } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { root, services } from "./databases.ts";

/*
 * Program that loads all modules of a node and exits. A process writes V8's compile cache when it
 * exits, but tests kill most nodes, so without this program each node would compile the modules.
 */
const env = readEnv({
	NODE_ENV: "test",
	LOGLEVEL: "fatal",
	TRANSPORTER: "nats://127.0.0.1:1",
	CACHER: "redis://127.0.0.1:1",
});
await loadServices(root, serviceNames(services));
// Loads the clients of NATS and Redis.
createNode(brokerOptions(env), env, []);
process.exit();
