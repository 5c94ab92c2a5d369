import bcrypt from "bcryptjs";

/*
 * What runs in the worker threads of `passwords.ts`. A thread that computes without a pause keeps whoever wakes up on its processor waiting until the kernel's
 * next tick, for up to 4 ms, whatever its priority: every hundredth request, where processors are few. So it stops for a moment again and again.
 */

/** Milliseconds without a pause, and of a pause. */
const AT_ONCE = 0.3;
const PAUSE = 0.05;
/** By Date.now() bcryptjs lets others in, and tells how far it is, when 100 ms have passed. This thread does nothing else that asks for the time. */
const HASTE = 100 / AT_ONCE;
Date.now = () => performance.now() * HASTE;

const nobody = new Int32Array(new SharedArrayBuffer(4));
const pause = () => void Atomics.wait(nobody, 0, 0, PAUSE);

export const hash = ({ password, cost }: { password: string; cost: number }): Promise<string> =>
	new Promise((resolve, reject) => {
		bcrypt.hash(password, cost, (error, hashed) => (error ? reject(error) : resolve(hashed!)), pause);
	});
export const compare = ({ password, hashed }: { password: string; hashed: string }): Promise<boolean> =>
	new Promise((resolve, reject) => {
		bcrypt.compare(password, hashed, (error, same) => (error ? reject(error) : resolve(same!)), pause);
	});
