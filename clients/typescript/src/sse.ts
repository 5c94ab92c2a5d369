/** Message of an event stream. */
export interface Message {
	/** ID of the last message that had one. */
	readonly id: string;
	readonly type: string;
	readonly data: string;
}

/**
 * Parser of event streams
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
 */
export class EventStreamParser {
	readonly #decoder = new TextDecoder();
	#text = "";
	#type = "";
	#data: string[] = [];
	#id: string;
	/** Milliseconds before a new connection, as requested by the server. */
	retry: number | undefined;

	/** @param lastId ID of the last message of the previous connection */
	constructor(lastId: string) {
		this.#id = lastId;
	}

	/** Adds bytes. @returns the messages that they complete */
	push(bytes: Uint8Array): Message[] {
		this.#text += this.#decoder.decode(bytes, { stream: true });
		const messages: Message[] = [];
		// A line ends with CRLF, LF or CR. A final CR may be followed by LF.
		const complete = /\r\n|\n|\r(?!$)/g;
		let start = 0;
		for (const { index, 0: end } of this.#text.matchAll(complete)) {
			const message = this.#line(this.#text.slice(start, index));
			if (message) messages.push(message);
			start = index + end.length;
		}
		this.#text = this.#text.slice(start);
		return messages;
	}

	#line(line: string): Message | undefined {
		if (line === "") return this.#dispatch();
		const colon = line.indexOf(":");
		const field = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
		if (field === "event") this.#type = value;
		else if (field === "data") this.#data.push(value);
		else if (field === "id" && !value.includes("\0")) this.#id = value;
		else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
		return undefined;
	}

	#dispatch(): Message | undefined {
		const [type, data] = [this.#type, this.#data];
		this.#type = "";
		this.#data = [];
		if (data.length === 0) return undefined;
		return { id: this.#id, type: type || "message", data: data.join("\n") };
	}
}
