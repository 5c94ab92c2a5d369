import { join } from "node:path";
import { sharedResult } from "../../lib/async/shared-result.ts";
import { runOutsideCalls } from "../../lib/context/call-context.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { serviceNames } from "../../lib/settings/node.ts";
import { operations } from "./operations.contract.ts";
import { changeDeadLetters, getDeadLetter, listDeadLetters } from "./operations.dead-letters.ts";
import { type CallAny, fanOut } from "./operations.fan-out.ts";
import { nodeReader, SHARED_MS } from "./operations.nodes.ts";
import { countRestarts } from "./operations.restarts.ts";
import { assertSelective } from "./operations.rules.ts";

/** Milliseconds that a service has to respond with its backlog. */
const BACKLOG_MS = 3000;

const names = serviceNames(join(import.meta.dirname, ".."));

export default defineService(operations)({
	created() {
		const { broker, logger } = this;
		const restarts = countRestarts(broker);
		const services = fanOut(broker, logger, names);
		const call = broker.call.bind(broker) as unknown as CallAny;
		const readBacklogs = () => services.callEach(call, "eventFigures", {}, { ms: BACKLOG_MS });
		return {
			restarts,
			services,
			readNodes: nodeReader(broker, restarts),
			readBacklogs: sharedResult(() => runOutsideCalls(readBacklogs), SHARED_MS),
		};
	},

	actions: {
		nodes() {
			return this.readNodes();
		},

		async queues() {
			const { results, unavailable } = await this.readBacklogs();
			const services = results.map(({ service, result }) => ({ service, ...result }));
			return { services, unavailable };
		},

		listDeadLetters(ctx) {
			return listDeadLetters(this.services, ctx);
		},

		getDeadLetter(ctx) {
			return getDeadLetter(this.services, ctx);
		},

		// Log lines of a call contain the user's ID.
		async retry(ctx) {
			const result = await changeDeadLetters(this.services, ctx, "retryDeadLetters");
			this.logger.info("An administrator retried dead letters", {
				selection: ctx.params,
				...result,
			});
			return result;
		},

		async discard(ctx) {
			assertSelective(ctx.params);
			const result = await changeDeadLetters(this.services, ctx, "discardDeadLetters");
			this.logger.info("An administrator discarded dead letters", {
				selection: ctx.params,
				...result,
			});
			return result;
		},
	},

	stopped() {
		this.restarts.stop();
	},
});
