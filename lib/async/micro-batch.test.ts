import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { eventually } from "../../test/support/eventually.ts";
import { microBatch, reject } from "./micro-batch.ts";

const turns = async (times: number) => {
	for (let turn = 0; turn < times; turn++) await new Promise(setImmediate);
};
const outage = () =>
	Object.assign(new Error("Service is unavailable"), { type: "SERVICE_NOT_AVAILABLE" });

/** A step whose batches the test completes itself. */
function heldStep() {
	const runs: { values: number[]; end(results?: number[]): void; fail(error: unknown): void }[] =
		[];
	const step = (values: number[]) =>
		new Promise<number[]>((resolve, fail) =>
			runs.push({ values, end: (results = values) => resolve(results), fail }),
		);
	return { runs, step, seen: () => runs.map(({ values }) => values) };
}

test("an idle micro-batch runs after one turn of the event loop", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step);
	const results = Promise.all([add(1), add(2)]);
	expect(seen()).toEqual([]);
	await turns(1);
	expect(seen()).toEqual([[1, 2]]);
	runs[0]!.end([10, 20]);
	expect(await results).toEqual([10, 20]);
});

test("elements that arrive during a batch form the next one, up to the maximum size", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step, { maxSize: 3 });
	const first = add(0);
	await turns(1);
	const rest = [1, 2, 3, 4].map(add);
	await turns(2);
	expect(seen()).toEqual([[0]]);
	runs[0]!.end();
	await first;
	await turns(1);
	expect(seen()).toEqual([[0], [1, 2, 3]]);
	runs[1]!.end();
	await turns(1);
	runs[2]!.end();
	expect(await Promise.all(rest)).toEqual([1, 2, 3, 4]);
	expect(seen()).toEqual([[0], [1, 2, 3], [4]]);
});

test("an element larger than the maximum size runs in a batch of its own", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step, { maxSize: 10, sizeOf: (value) => value });
	const all = [4, 6, 1, 30, 5, 5, 5].map(add);
	for (let run = 0; run < 5; run++) {
		await turns(1);
		runs[run]!.end();
	}
	expect(await Promise.all(all)).toEqual([4, 6, 1, 30, 5, 5, 5]);
	expect(seen()).toEqual([[4, 6], [1], [30], [5, 5], [5]]);
});

test("a batch observes the byte limit at its start", async () => {
	const { runs, step, seen } = heldStep();
	let most = 10;
	const add = microBatch(step, { maxSize: 3, maxBytes: () => most, bytesOf: (value) => value });
	const all = [4, 6, 1, 30, 5, 5, 1, 1, 1, 1].map(add);
	for (let run = 0; run < 6; run++) {
		await turns(1);
		if (run === 3) most = 100;
		runs[run]!.end();
	}
	await Promise.all(all);
	expect(seen()).toEqual([[4, 6], [1], [30], [5, 5], [1, 1, 1], [1]]);
});

test("a slow batch does not delay the next one when batches run concurrently", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step, { concurrency: 2 });
	const slow = add(1);
	await turns(1);
	const quick = add(2);
	await turns(1);
	const third = add(3);
	await turns(2);
	expect(seen()).toEqual([[1], [2]]);
	runs[1]!.end();
	expect(await quick).toBe(2);
	await turns(1);
	runs[2]!.end();
	expect(await third).toBe(3);
	runs[0]!.end();
	expect(await slow).toBe(1);
});

test("an outage rejects the whole batch without another attempt", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step);
	const results = Promise.allSettled([add(1), add(2), add(3)]);
	await turns(1);
	runs[0]!.fail(outage());
	expect((await results).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
	await turns(2);
	expect(seen()).toEqual([[1, 2, 3]]);
});

test("an outage between the halves of a split batch rejects only the affected half", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step);
	const results = Promise.allSettled([add(1), add(2), add(3), add(4)]);
	await turns(1);
	runs[0]!.fail(new Error("One of them is bad"));
	await turns(1);
	runs[1]!.fail(outage());
	await turns(1);
	runs[2]!.end();
	expect((await results).map(({ status }) => status)).toEqual([
		"rejected",
		"rejected",
		"fulfilled",
		"fulfilled",
	]);
	expect(seen()).toEqual([
		[1, 2, 3, 4],
		[1, 2],
		[3, 4],
	]);
});

/**
 * Behavior of an element: it succeeds, is rejected alone, fails its batch, gets no result, or makes
 * the step throw synchronously.
 */
const natures = ["good", "rejected", "poison", "missing", "throwing"] as const;
type Nature = (typeof natures)[number];
interface Element {
	readonly id: number;
	readonly nature: Nature;
	/** Number of scheduler steps before it arrives. */
	readonly after: number;
}

test("each element gets its own result in all combinations of failures", async () => {
	const elements = fc.array(
		fc.record({ nature: fc.constantFrom("good", "good", "good", ...natures), after: fc.nat(2) }),
		{
			maxLength: 30,
			size: "max",
		},
	);
	const options = fc.record({
		maxSize: fc.integer({ min: 1, max: 6 }),
		concurrency: fc.integer({ min: 1, max: 3 }),
	});
	const outages = fc.array(fc.boolean(), { maxLength: 12, size: "max" });
	const property = fc.asyncProperty(
		fc.scheduler(),
		options,
		elements,
		outages,
		async (scheduler, options, generated, outages) => {
			const all = generated.map((element, id): Element => ({ ...element, id }));
			const offered = new Set<number>();
			const failed = new Set<number>();
			const violations: string[] = [];
			const check = (holds: boolean, violation: string) =>
				void (holds || violations.push(violation));
			let arrived = 0;
			let running = 0;
			let runs = 0;
			/** Results as a service returns them. */
			const resultsOf = (values: Element[]) => {
				if (values.some(({ nature }) => nature === "poison")) throw new Error("poison");
				const present = values.filter(({ nature }) => nature !== "missing");
				return present.map(({ id, nature }) =>
					nature === "rejected" ? reject(new Error(`rejected ${id}`)) : id * 10,
				);
			};
			const step = (values: Element[]) => {
				const ids = values.map(({ id }) => id);
				const fresh = !ids.some((id) => offered.has(id));
				if (fresh) {
					// The oldest elements, up to the limit. Elements of a split batch were in a batch before.
					const waiting = Array.from({ length: arrived }, (_, id) => id).filter(
						(id) => !offered.has(id),
					);
					check(
						`${ids}` === `${waiting.slice(0, options.maxSize)}`,
						`the batch is ${ids} of ${waiting}`,
					);
					for (const id of ids) offered.add(id);
				}
				check(!ids.some((id) => failed.has(id)), `${ids} ran again after an outage`);
				check(running < options.concurrency, `${running + 1} concurrent batches`);
				if (values.some(({ nature }) => nature === "throwing")) throw new Error("throwing");
				const out = outages[runs++];
				if (out) for (const id of ids) failed.add(id);
				running++;
				return scheduler.schedule(Promise.resolve(), `batch of ${ids}`).then(() => {
					running--;
					if (out) throw outage();
					return resultsOf(values);
				});
			};

			const add = microBatch<Element, number>(step, options);
			const results: Promise<unknown>[] = [];
			const advance = async () => {
				if (scheduler.count() > 0) await scheduler.waitOne();
				await turns(2);
			};
			for (const element of all) {
				for (let i = 0; i < element.after; i++) await advance();
				arrived++;
				results.push(add(element).catch((error: Error) => error.message));
			}
			await turns(2);
			while (scheduler.count() > 0) await advance();

			const expected = ({ id, nature }: Element) => {
				if (failed.has(id)) return "Service is unavailable";
				if (nature === "missing") return "A batch of 1 elements returned 0 results";
				return {
					good: id * 10,
					rejected: `rejected ${id}`,
					poison: "poison",
					throwing: "throwing",
				}[nature];
			};
			expect(await Promise.all(results)).toEqual(all.map(expected));
			expect(violations).toEqual([]);
		},
	);
	await fc.assert(property, { numRuns: 400, seed: 1 });
});

/** A micro-batch that has processed a batch of two elements. */
async function afterBatchOfTwo(gatherMs: number) {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step, { gatherMs });
	const group = Promise.all([add(1), add(2)]);
	await turns(1);
	runs[0]!.end();
	await group;
	await turns(1);
	return { runs, seen, add };
}

test("a batch waits for as many elements as the previous one had", async () => {
	const { runs, seen, add } = await afterBatchOfTwo(3_600_000);
	const late = [add(3)];
	await turns(3);
	expect(seen()).toEqual([[1, 2]]);
	late.push(add(4));
	await turns(2);
	expect(seen()).toEqual([
		[1, 2],
		[3, 4],
	]);
	runs[1]!.end();
	expect(await Promise.all(late)).toEqual([3, 4]);
});

test("a batch waits at most for the given time, and not after a batch of one element", async () => {
	const { runs, seen, add } = await afterBatchOfTwo(1);
	const alone = add(3);
	await eventually(() => expect(seen()).toEqual([[1, 2], [3]]));
	runs[1]!.end();
	await alone;
	await turns(1);
	const next = add(4);
	await turns(2);
	expect(seen()).toEqual([[1, 2], [3], [4]]);
	runs[2]!.end();
	expect(await next).toBe(4);
});

test("afterEach delays the next batch, and no result waits for it", async () => {
	const { runs, step, seen } = heldStep();
	const begun: PromiseWithResolvers<void>[] = [];
	const afterEach = () => {
		begun.push(Promise.withResolvers<void>());
		return begun.at(-1)!.promise;
	};
	const add = microBatch(step, { afterEach });
	const first = add(1);
	await turns(1);
	runs[0]!.end();
	expect(await first).toBe(1);
	const rest = [add(2), add(3)];
	await turns(3);
	expect(seen()).toEqual([[1]]);
	begun[0]!.resolve();
	await turns(2);
	expect(seen()).toEqual([[1], [2, 3]]);
	runs[1]!.end();
	expect(await Promise.all(rest)).toEqual([2, 3]);
});

test("afterEach can wait for new elements, and the last of them starts the batch", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step, { afterEach: (results, arrivals) => arrivals(results.length) });
	const group = Promise.all([add(1), add(2)]);
	await turns(1);
	const other = add(3);
	runs[0]!.end();
	await group;
	const back = [add(4)];
	await turns(3);
	// Element 3 arrived during the batch, so it does not count as a new arrival.
	expect(seen()).toEqual([[1, 2]]);
	back.push(add(5));
	await turns(3);
	expect(seen()).toEqual([
		[1, 2],
		[3, 4, 5],
	]);
	runs[1]!.end();
	expect(await Promise.all([other, ...back])).toEqual([3, 4, 5]);
});

test("the halves of a split batch do not wait for afterEach", async () => {
	const step = async (values: number[]) => {
		if (values.length > 1) throw new Error("Too many");
		return values;
	};
	const add = microBatch(step, { afterEach: () => new Promise(() => undefined) });
	expect(await Promise.all([add(1), add(2)])).toEqual([1, 2]);
});
