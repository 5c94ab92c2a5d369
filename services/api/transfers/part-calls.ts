import { setTimeout as pause } from "node:timers/promises";
import type { Context } from "moleculer";
import type { UploadBatch, UploadResult } from "../../../lib/contracts/transfers.ts";
import { isMessageTooLarge } from "../../../lib/resilience/message-size.ts";
import { isOutage } from "../../../lib/resilience/outages.ts";
import type { Request } from "../http/exchange.ts";

/** Milliseconds between two attempts, and in which a call must succeed. */
const RETRY_MS = 500;
const GIVE_UP_MS = 30_000;

/**
 * Calls the action of a request with the rights of its client, for one part of a file. During an
 * outage the call is repeated, on any node.
 * @param signal ends the repetition
 */
export async function callUntilAvailable<Result>(
	{ $ctx, $alias }: Request,
	params: object,
	signal: AbortSignal,
): Promise<Result> {
	const giveUpAt = Date.now() + GIVE_UP_MS;
	for (;;) {
		try {
			// By name and not by `$endpoint`, which is the action on one node.
			const { name } = $alias.contract!;
			return await ($ctx as unknown as Context).call<Result, object>(name, params);
		} catch (error) {
			if (!isOutage(error) || Date.now() > giveUpAt || signal.aborted) throw error;
			await pause(RETRY_MS, undefined, { signal }).catch(() => undefined);
		}
	}
}

/** Sends a batch of an upload to its action. Divides a batch that is too large for one message. */
export async function sendBatch(
	req: Request,
	batch: UploadBatch,
	signal: AbortSignal,
): Promise<UploadResult> {
	try {
		return await callUntilAvailable<UploadResult>(req, batch, signal);
	} catch (error) {
		if (isMessageTooLarge(error)) return sendHalves(req, batch, signal);
		throw error;
	}
}

async function sendHalves(
	req: Request,
	{ rows, ...file }: UploadBatch,
	signal: AbortSignal,
): Promise<UploadResult> {
	if (rows.length <= 1) {
		const message = "The row is too large";
		const errors = rows.map(({ row }) => ({ row, key: null, field: null, message }));
		return { created: 0, updated: 0, unchanged: 0, errors };
	}
	const half = rows.length >> 1;
	const a = await sendBatch(req, { ...file, rows: rows.slice(0, half) }, signal);
	const b = await sendBatch(req, { ...file, rows: rows.slice(half) }, signal);
	return {
		created: a.created + b.created,
		updated: a.updated + b.updated,
		unchanged: a.unchanged + b.unchanged,
		errors: [...a.errors, ...b.errors],
	};
}
