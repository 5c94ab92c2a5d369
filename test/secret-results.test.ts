import { expect, test } from "@jest/globals";
import type { ActionContract } from "../lib/contracts/contract.ts";
import type { Rule } from "../lib/contracts/schema.ts";
import { presentContracts } from "../tools/contracts/release.ts";

const fieldsOf = (rule: Rule): string[] => (rule.type === "object" ? Object.keys(rule.props) : []);

test("a result with a token comes from an action whose responses are not cached", async () => {
	const routes = (await presentContracts()).flatMap(({ name, actions }) =>
		Object.entries(actions as Record<string, ActionContract>).flatMap(([action, contract]) =>
			contract.rest && fieldsOf(contract.returns).some((field) => /token$/.test(field))
				? [{ name: `${name}.${action}`, contract }]
				: [],
		),
	);
	expect(routes.map(({ name }) => name)).toEqual(
		expect.arrayContaining(["auth.login", "auth.refresh", "carts.create"]),
	);
	const cached = routes.filter(({ contract }) => !contract.secret && !contract.token);
	expect(cached.map(({ name }) => name)).toEqual([]);
});
