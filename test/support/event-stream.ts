/** Server-sent event, or a comment, which has neither id nor data. */
interface Message {
	readonly id?: string;
	readonly event?: string;
	readonly data?: string;
	readonly comment?: string;
}
export interface EventStream {
	readonly status: number;
	readonly headers: Headers;
	/** Messages received so far, including comments. */
	readonly messages: Message[];
	/** Resolves when the server ends the stream properly. */
	readonly ended: Promise<void>;
	close(): void;
}

/** Opens an event stream like a browser's EventSource, but does not reconnect. */
export async function listen(
	url: string,
	options: { token?: string; lastEventId?: string; headers?: Record<string, string> },
): Promise<EventStream> {
	const abort = new AbortController();
	const { token, lastEventId } = options;
	const headers = {
		...options.headers,
		...(token ? { authorization: `Bearer ${token}` } : {}),
		...(lastEventId ? { "last-event-id": lastEventId } : {}),
	};
	const response = await fetch(url, { headers, signal: abort.signal });
	const messages: Message[] = [];
	const read = async () => {
		let text = "";
		const decoder = new TextDecoder();
		for await (const chunk of response.body ?? []) {
			text += decoder.decode(chunk, { stream: true });
			const blocks = text.split("\n\n");
			text = blocks.pop()!;
			messages.push(...blocks.map(parse).filter((message) => Object.keys(message).length > 0));
		}
	};
	const ended = read();
	ended.catch(() => undefined);
	return {
		status: response.status,
		headers: response.headers,
		messages,
		ended,
		close: () => abort.abort(),
	};
}

const parse = (block: string): Message =>
	Object.fromEntries(
		block.split("\n").flatMap((line) => {
			const colon = line.indexOf(":");
			const [field, value] = [line.slice(0, colon) || "comment", line.slice(colon + 1).trim()];
			return field === "retry" ? [] : [[field, value]];
		}),
	);
