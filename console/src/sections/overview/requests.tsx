import { Figures, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { formatRate, formatSeconds, formatShare } from "../../format.ts";
import { Breakers } from "../cluster/breakers.tsx";
import { httpTraffic } from "../cluster/traffic.rules.ts";
import { useCluster } from "../cluster/use-cluster.ts";
import { POLL_MS } from "./poll.ts";

/** Error rate and latency of HTTP requests, and open circuit breakers. */
export function Requests() {
	const cluster = useCluster(POLL_MS);
	return (
		<>
			<Panel title="HTTP requests">
				<Loaded of={cluster}>
					{({ nodes, bounds }) => {
						const { perSecond, failed, mean, p95 } = httpTraffic(nodes, bounds);
						const seconds = (value: number | null) => (value === null ? "–" : formatSeconds(value));
						return (
							<Figures
								rows={{
									Requests: formatRate(perSecond),
									"Errors (5xx)": failed === null ? "–" : formatShare(failed),
									"Mean latency": seconds(mean),
									"95 % below": seconds(p95),
									Nodes: String(nodes.length),
									"Not responding": String(nodes.filter(({ responding }) => !responding).length),
								}}
							/>
						);
					}}
				</Loaded>
			</Panel>
			<Panel title="Circuit breakers">
				<Loaded of={cluster}>{({ nodes }) => <Breakers nodes={nodes} />}</Loaded>
			</Panel>
		</>
	);
}
