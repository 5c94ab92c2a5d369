import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { MAX_PERIODS } from "./orders.contract.admin.ts";
import type { orders } from "./orders.contract.ts";
import { assertTimeRange } from "./orders.rules.ts";

type Request = Infer<typeof orders.actions.statistics.params>;
type Interval = Request["interval"];

const MILLISECONDS: Readonly<Record<Interval, number>> = {
	minute: 60_000,
	hour: 3_600_000,
	day: 86_400_000,
};

/** Whole periods in UTC. */
export interface Periods {
	readonly from: Date;
	/** Exclusive. */
	readonly to: Date;
	readonly interval: Interval;
}

/**
 * The whole periods that contain the requested time. By default, the last one is that of `now`.
 * @throws VALIDATION_ERROR if there is none, or if there are too many
 */
export function periodsOf({ from, to, interval }: Request, now: Date): Periods {
	const length = MILLISECONDS[interval];
	const end = to === undefined ? now.getTime() + 1 : Date.parse(to);
	const first = Math.floor(Date.parse(from) / length);
	const last = Math.ceil(end / length);
	assertTimeRange(from, to);
	if (end <= Date.parse(from))
		throw invalidField("from", "TIME_IN_FUTURE", "Enter a time in the past");
	if (last - first > MAX_PERIODS)
		throw invalidField(
			"interval",
			"TOO_MANY_PERIODS",
			`The time has more than ${MAX_PERIODS} of these periods: select a longer interval`,
		);
	return { from: new Date(first * length), to: new Date(last * length), interval };
}
