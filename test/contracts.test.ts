import { expect, test } from "@jest/globals";
import { breaks } from "../lib/compatible.ts";
import { presentContracts, releasedContracts } from "../scripts/contracts.ts";

test("no contract breaks who relies on the last released one; docs/events.md tells what may change", async () => {
	const released = releasedContracts();
	expect(released.length).toBeGreaterThan(5);
	expect(breaks(released, await presentContracts())).toEqual([]);
});
