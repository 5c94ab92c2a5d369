import { StartError } from "../../../lib/process/start-error.ts";
import type { PaymentProvider, ProviderDependencies } from "./provider.ts";
import { createSimulated } from "./simulated/provider.ts";
import { createStripe } from "./stripe/provider.ts";

/** Factories by name. They throw a StartError if a setting of the provider is missing. */
const providers: Readonly<Record<string, (dependencies: ProviderDependencies) => PaymentProvider>> =
	{
		simulated: createSimulated,
		stripe: createStripe,
	};

/** Creates the provider that PAYMENT_PROVIDER selects. @throws StartError for an unknown name */
export function createProvider(dependencies: ProviderDependencies): PaymentProvider {
	const name = dependencies.env.PAYMENT_PROVIDER;
	const create = Object.hasOwn(providers, name) ? providers[name] : undefined;
	if (!create)
		throw new StartError(
			`PAYMENT_PROVIDER is not one of ${Object.keys(providers).join(", ")}: correct it`,
		);
	return create(dependencies);
}
