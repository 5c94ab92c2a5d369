import { chargeRoutes } from "./charge-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { paymentIntentRoutes } from "./payment-intent-routes.ts";
import { refundRoutes } from "./refund-routes.ts";
import type { Handler } from "./route.ts";

const ROUTES = Object.entries({
	...paymentIntentRoutes,
	...refundRoutes,
	...chargeRoutes,
	...eventRoutes,
}).map(([route, handler]) => {
	const [method, pattern] = route.split(" ") as [string, string];
	return {
		route,
		method,
		handler,
		path: new RegExp(`^${pattern.replace(":id", "(?<id>[^/]+)")}$`),
	};
});

/** The first route that matches, in the order of the tables. */
export function matchRoute(
	method: string,
	path: string,
): { route: string; handler: Handler; id: string } | undefined {
	for (const { route, method: expected, handler, path: pattern } of ROUTES) {
		const match = method === expected ? pattern.exec(path) : null;
		if (match) return { route, handler, id: match.groups?.id ?? "" };
	}
	return undefined;
}
