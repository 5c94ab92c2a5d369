import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { microBatch, reject } from "./micro-batch.ts";

const turns = async (times: number) => {
	for (let turn = 0; turn < times; turn++) await new Promise(setImmediate);
};
const outage = () => Object.assign(new Error("Nobody is there"), { type: "SERVICE_NOT_AVAILABLE" });

/** A step whose runs the test ends itself. */
function heldStep() {
	const runs: { values: number[]; end(results?: number[]): void; fail(error: unknown): void }[] =
		[];
	const step = (values: number[]) =>
		new Promise<number[]>((resolve, fail) =>
			runs.push({ values, end: (results = values) => resolve(results), fail }),
		);
	return { runs, step, seen: () => runs.map(({ values }) => values) };
}

test("when nothing is under way, an element waits for one turn of the event loop and for no timer", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step);
	const answers = Promise.all([add(1), add(2)]);
	expect(seen()).toEqual([]);
	await turns(1);
	expect(seen()).toEqual([[1, 2]]);
	runs[0]!.end([10, 20]);
	expect(await answers).toEqual([10, 20]);
});

test("what arrives while a run is under way travels together, as much as one run may take", async () => {
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

test("elements may count for more than one; one that is larger than a run may be travels alone", async () => {
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

test("a run has at most so many bytes as the limit allows when it begins", async () => {
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

test("with lanes, a slow run does not hold up the next one", async () => {
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

test("an outage fails the whole run at once and is not asked about again", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step);
	const answers = Promise.allSettled([add(1), add(2), add(3)]);
	await turns(1);
	runs[0]!.fail(outage());
	expect((await answers).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
	await turns(2);
	expect(seen()).toEqual([[1, 2, 3]]);
});

test("an outage that begins while a run is cut in halves fails only what was asked during it", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step);
	const answers = Promise.allSettled([add(1), add(2), add(3), add(4)]);
	await turns(1);
	runs[0]!.fail(new Error("One of them is bad"));
	await turns(1);
	runs[1]!.fail(outage());
	await turns(1);
	runs[2]!.end();
	expect((await answers).map(({ status }) => status)).toEqual([
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

/** What becomes of an element when a run that holds it is asked. */
const natures = ["good", "rejected", "poison", "mute", "explosive"] as const;
type Nature = (typeof natures)[number];
interface Element {
	readonly id: number;
	readonly nature: Nature;
	/** How many things happen before it arrives. */
	readonly after: number;
}

test("whatever is in a run and however runs end, each element has its own answer", async () => {
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
			const broken: string[] = [];
			const must = (holds: boolean, what: string) => void (holds || broken.push(what));
			let arrived = 0;
			let under = 0;
			let runs = 0;
			/** Answers like a service would. */
			const answer = (values: Element[]) => {
				if (values.some(({ nature }) => nature === "poison")) throw new Error("poison");
				const heard = values.filter(({ nature }) => nature !== "mute");
				return heard.map(({ id, nature }) =>
					nature === "rejected" ? reject(new Error(`rejected ${id}`)) : id * 10,
				);
			};
			const step = (values: Element[]) => {
				const ids = values.map(({ id }) => id);
				const fresh = !ids.some((id) => offered.has(id));
				if (fresh) {
					// The oldest that wait, and as many as may; what is cut in halves has been offered before.
					const waiting = Array.from({ length: arrived }, (_, id) => id).filter(
						(id) => !offered.has(id),
					);
					must(`${ids}` === `${waiting.slice(0, options.maxSize)}`, `${ids} went of ${waiting}`);
					for (const id of ids) offered.add(id);
				}
				must(!ids.some((id) => failed.has(id)), `${ids} were asked again`);
				must(under < options.concurrency, `${under + 1} runs at once`);
				if (values.some(({ nature }) => nature === "explosive")) throw new Error("explosive");
				const out = outages[runs++];
				if (out) for (const id of ids) failed.add(id);
				under++;
				return scheduler.schedule(Promise.resolve(), `run of ${ids}`).then(() => {
					under--;
					if (out) throw outage();
					return answer(values);
				});
			};

			const add = microBatch<Element, number>(step, options);
			const answers: Promise<unknown>[] = [];
			const happen = async () => {
				if (scheduler.count() > 0) await scheduler.waitOne();
				await turns(2);
			};
			for (const element of all) {
				for (let i = 0; i < element.after; i++) await happen();
				arrived++;
				answers.push(add(element).catch((error: Error) => error.message));
			}
			await turns(2);
			while (scheduler.count() > 0) await happen();

			const expected = ({ id, nature }: Element) => {
				if (failed.has(id)) return "Nobody is there";
				if (nature === "mute") return "A batch of 1 was answered with 0 results";
				return {
					good: id * 10,
					rejected: `rejected ${id}`,
					poison: "poison",
					explosive: "explosive",
				}[nature];
			};
			expect(await Promise.all(answers)).toEqual(all.map(expected));
			expect(broken).toEqual([]);
		},
	);
	await fc.assert(property, { numRuns: 400, seed: 1 });
});

test("a lane may wait for what its run has begun: the rest arrives together meanwhile, and nobody's answer waits for that", async () => {
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

test("a lane may wait for those who were answered to come back, and begins with the last of them", async () => {
	const { runs, step, seen } = heldStep();
	const add = microBatch(step, { afterEach: (results, arrivals) => arrivals(results.length) });
	const group = Promise.all([add(1), add(2)]);
	await turns(1);
	const other = add(3);
	runs[0]!.end();
	await group;
	const back = [add(4)];
	await turns(3);
	// The other one came while they were under way, and is none of them.
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

test("the halves of a failed run do not wait for what one of them has begun", async () => {
	const step = async (values: number[]) => {
		if (values.length > 1) throw new Error("Too many");
		return values;
	};
	const add = microBatch(step, { afterEach: () => new Promise(() => undefined) });
	expect(await Promise.all([add(1), add(2)])).toEqual([1, 2]);
});
