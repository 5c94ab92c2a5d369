/** Promise whose work begins when it is awaited. */
export interface Lazy<T> extends PromiseLike<T> {
	catch: Promise<T>["catch"];
	finally: Promise<T>["finally"];
}

/** @param start is called for each use */
export const lazy = <T>(start: () => Promise<T>): Lazy<T> => ({
	then: (resolve, reject) => start().then(resolve, reject),
	catch: (reject) => start().catch(reject),
	finally: (act) => start().finally(act),
});
