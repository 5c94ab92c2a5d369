import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { shopCountry } from "../../lib/settings/shop-country.ts";
import { database } from "../../mixins/database.mixin.ts";
import { tax } from "./tax.contract.ts";
import { openRateTable } from "./tax.rates.ts";
import { taxCart, toTable } from "./tax.rules.ts";

export default defineService(tax)({
	mixins: [database],

	created() {
		const env = envOf(this.broker);
		return {
			rates: openRateTable(this.broker, this.db),
			shopCountry: shopCountry(env),
			pricesIncludeTax: env.PRICES_INCLUDE_TAX,
		};
	},

	actions: {
		rates() {
			return this.rates.list();
		},

		setRates({ params: { rates }, meta }) {
			return this.rates.replace(toTable(rates), meta.if_match);
		},

		async status() {
			return {
				enabled: await this.rates.isConfigured(),
				prices_include_tax: this.pricesIncludeTax,
			};
		},

		async calculate({ params: { carts } }) {
			const countries = carts.map(({ country }) => country ?? this.shopCountry);
			const distinct = [...new Set(countries)];
			const tables = await this.rates.ofCountries(distinct);
			const rates = new Map(distinct.map((country, i) => [country, tables[i]!]));
			return carts.map((cart, i) =>
				taxCart(cart, rates.get(countries[i]!)!, this.pricesIncludeTax),
			);
		},
	},
});
