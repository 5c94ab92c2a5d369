import type { ComponentChildren } from "preact";
import { formatMoney, formatTime, words } from "../format.ts";
import { href } from "../router.ts";

type Tone = "good" | "warn" | "bad" | "neutral";

export const Badge = ({
	tone = "neutral",
	children,
}: {
	tone?: Tone;
	children: ComponentChildren;
}) => <span class={`badge ${tone}`}>{children}</span>;

const TONES: Readonly<Record<string, Tone>> = {
	...entries(
		"good",
		"confirmed",
		"shipped",
		"delivered",
		"captured",
		"sent",
		"completed",
		"done",
		"up",
	),
	...entries(
		"warn",
		"pending",
		"requires_action",
		"processing",
		"running",
		"requested",
		"half-open",
	),
	...entries("bad", "failed", "disputed", "stuck", "declined", "open", "down"),
};
function entries(tone: Tone, ...statuses: string[]): Record<string, Tone> {
	return Object.fromEntries(statuses.map((status) => [status, tone]));
}

/** Status of an order, payment, message … */
export const StatusBadge = ({ status }: { status: string }) => (
	<Badge tone={TONES[status] ?? "neutral"}>{words(status)}</Badge>
);

/** @param amount in major units */
export const Money = ({ amount, currency }: { amount: number; currency: string }) => (
	<span class="number">{formatMoney(amount, currency)}</span>
);

/** @param at time in RFC 3339 */
export const Time = ({ at }: { at: string }) => (
	<time dateTime={at} title={at}>
		{formatTime(at)}
	</time>
);

/** Link to a page. @param to path with query, without /console */
export const Link = ({ to, children }: { to: string; children: ComponentChildren }) => (
	<a href={href(to)}>{children}</a>
);

/** An ID, shortened to its end, which differs between IDs of the same time. */
export const ShortId = ({ id }: { id: string }) => (
	<code class="number" title={id}>
		…{id.slice(-8)}
	</code>
);

interface AddressLines {
	readonly name: string;
	readonly company?: string | null;
	readonly line1: string;
	readonly line2?: string | null;
	readonly postal_code?: string | null;
	readonly city: string;
	readonly region?: string | null;
	readonly country: string;
}
/** A postal address: structured, or text as it was entered. */
export function Address({ of }: { of: string | AddressLines }) {
	if (typeof of === "string") return <>{of}</>;
	const { name, company, line1, line2, postal_code, city, region, country } = of;
	const lines = [name, company, line1, line2, `${postal_code ?? ""} ${city}`, region, country];
	return (
		<address>
			{lines
				.filter((line) => line?.trim())
				.map((line) => (
					<div key={line}>{line}</div>
				))}
		</address>
	);
}
