import { Errors, type ServiceSchema } from "moleculer";
import { compileShape } from "../../lib/contracts/compile-shape.ts";
import { contract } from "../../lib/contracts/contract.ts";
import { type Infer, list, object, pick, shape } from "../../lib/contracts/schema.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { shopCountry } from "../../lib/settings/shop-country.ts";
import { tax } from "../../services/tax/tax.contract.ts";

/** The actions that other services call. The routes of administrators are omitted. */
const { status, calculate } = tax.actions;
const replacement = contract({ name: tax.name, actions: { status, calculate } });

/** Rates of each cart, as the API responds. */
const quotes = shape({
	carts: list(object(pick(calculate.returns.items.props, "lines", "shipping"))),
});
type Quotes = Infer<typeof quotes>["carts"];

/**
 * Milliseconds that the API has to respond. A caller repeats `calculate` after half of its
 * `timeout`, so the service responds before that.
 */
const API_TIMEOUT_MS = 800;

/** The tax service of a shop whose rates are those of an HTTP API. */
export const taxService = (apiUrl: string): ServiceSchema =>
	defineService(replacement)({
		created() {
			const env = envOf(this.broker);
			return {
				shopCountry: shopCountry(env),
				pricesIncludeTax: env.PRICES_INCLUDE_TAX,
				checkQuotes: compileShape(this.broker, quotes),
			};
		},

		methods: {
			/** @throws TAX_API_UNAVAILABLE, which clients receive as 503 */
			async requestQuotes(carts: readonly object[]): Promise<Quotes> {
				try {
					const received = { carts: (await post(apiUrl, carts)) as Quotes };
					if (this.checkQuotes(received) !== true || received.carts.length !== carts.length)
						throw new Error("the response has another format");
					return received.carts;
				} catch (error) {
					const message = `The tax API is not available: ${(error as Error).message}`;
					throw new Errors.MoleculerRetryableError(message, 503, "TAX_API_UNAVAILABLE");
				}
			},
		},

		actions: {
			async status() {
				return { enabled: true, prices_include_tax: this.pricesIncludeTax };
			},

			async calculate({ params: { carts } }) {
				const country = this.shopCountry;
				const found = await this.requestQuotes(
					carts.map((cart) => ({ ...cart, country: cart.country ?? country })),
				);
				return found.map((quote) => ({ ...quote, prices_include_tax: this.pricesIncludeTax }));
			},
		},
	});

async function post(url: string, body: object): Promise<unknown> {
	const response = await fetch(url, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify(body),
		signal: AbortSignal.timeout(API_TIMEOUT_MS),
	});
	if (!response.ok) throw new Error(`it responded with status ${response.status}`);
	return response.json();
}

export default taxService(process.env.TAX_API_URL ?? "http://127.0.0.1:4000");
