import { expect, test } from "@jest/globals";
import { watchMemory } from "./memory.ts";

const me = { name: "me", pid: process.pid };
const run = (watch: ReturnType<typeof watchMemory>, rounds: number) => {
	for (let round = 0; round < rounds; round++) watch.nextRound();
};

test("watchMemory distinguishes constant from growing memory", () => {
	const steady = watchMemory([me]);
	run(steady, 9);
	expect(steady.stop()).toEqual([
		{ name: "me", warm: expect.any(Number), end: expect.any(Number), flat: true },
	]);

	const growing = watchMemory([me, { name: "gone", pid: undefined }]);
	run(growing, 6);
	const retained = Buffer.alloc(500e6, 1);
	run(growing, 3);
	const [own, gone] = growing.stop();
	expect(own).toMatchObject({ flat: false });
	expect(gone).toMatchObject({ flat: false });
	expect(retained).toHaveLength(500e6);
});
