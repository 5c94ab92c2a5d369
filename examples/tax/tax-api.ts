import { createServer, type RequestListener } from "node:http";
import { json } from "node:stream/consumers";
import flatRates from "./rates.json" with { type: "json" };

/** Rates by country. */
type Rates = Readonly<Record<string, { readonly name: string; readonly rate: number }>>;
interface Cart {
	readonly country: string;
	readonly lines: readonly unknown[];
}
const PORT = 4000;

/**
 * Stands in for the API of a tax provider: a country has one rate for everything. It receives the
 * carts of `tax.calculate` and responds with a list of `{lines, shipping}`.
 */
export const taxApi =
	(rates: Rates = flatRates): RequestListener =>
	async (req, res) => {
		const carts = (await json(req)) as Cart[];
		const quotes = carts.map(({ country, lines }) => {
			const rate = rates[country] ?? null;
			return { lines: lines.map(() => rate), shipping: rate };
		});
		res.setHeader("content-type", "application/json").end(JSON.stringify(quotes));
	};

if (import.meta.main)
	createServer(taxApi()).listen(PORT, "127.0.0.1", () =>
		console.log(`The tax API listens on http://127.0.0.1:${PORT}`),
	);
