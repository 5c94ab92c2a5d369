import { useEffect, useState } from "preact/hooks";
import { reads } from "../../api.ts";

/**
 * Follows the event stream of an order. @param onEvent is called after each new event
 * @returns whether events arrive at once: the stream is connected, or has ended with the order
 */
export function useOrderEvents(id: string, onEvent: () => void): boolean {
	const [live, setLive] = useState(false);
	useEffect(() => {
		const ended = new AbortController();
		const { signal } = ended;
		async function follow(): Promise<void> {
			const events = reads.orders.events(
				{ id },
				{ signal, onConnection: (state) => setLive(state === "open") },
			);
			for await (const _ of events) onEvent();
			setLive(true);
		}
		// Without the stream, the page still polls.
		follow().catch(() => !signal.aborted && setLive(false));
		return () => ended.abort();
	}, [id]);
	return live;
}
